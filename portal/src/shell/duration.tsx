// A field for a duration in minutes, hours or days, or in seconds if no larger unit fits.
import { Group, Select } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { type Entered, NumberField } from './number-field.tsx';

const units = { second: 1, minute: 60, hour: 3_600, day: 86_400 } as const;
type Unit = keyof typeof units;

/** The largest unit in which it is a whole number. */
export const unitOf = (seconds: number): Unit =>
  (['day', 'hour', 'minute'] as const).find((unit) => seconds % units[unit] === 0) ?? 'second';

export interface DurationProps {
  readonly label: string;
  readonly description?: string;
  /** In seconds; null: none. */
  readonly value: Entered;
  readonly onChange: (seconds: Entered) => void;
  readonly leastSeconds: number;
  readonly required?: boolean;
  readonly error?: string | undefined;
}

export function Duration({
  label,
  description,
  value,
  onChange,
  leastSeconds,
  required = false,
  error,
}: DurationProps): ReactNode {
  const { t } = useTranslation('shell');
  const [unit, setUnit] = useState<Unit>(typeof value === 'number' ? unitOf(value) : 'hour');
  const size = units[unit];
  const offered = (['minute', 'hour', 'day'] as const).map((each): Unit => each);
  return (
    <Group align={error === undefined ? 'flex-end' : 'center'} gap="xs" wrap="nowrap">
      <NumberField
        label={label}
        {...(description === undefined ? {} : { description })}
        value={typeof value === 'number' ? value / size : value}
        onChange={(next) => onChange(typeof next === 'number' ? Math.round(next * size) : next)}
        min={leastSeconds / size}
        required={required}
        error={error}
        flex={1}
      />
      <Select
        aria-label={t('duration.unit', { what: label })}
        data={(unit === 'second' ? (['second', ...offered] as const) : offered).map((each) => ({
          value: each,
          label: t(`duration.${each}`),
        }))}
        value={unit}
        onChange={(next) => {
          if (next === null) return;
          // The typed figure stays, and applies to the new unit.
          if (typeof value === 'number') onChange(Math.round((value / size) * units[next]));
          setUnit(next);
        }}
        allowDeselect={false}
        w={110}
      />
    </Group>
  );
}
