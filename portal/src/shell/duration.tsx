// A field for a duration in minutes, hours or days, or in seconds if no larger unit fits.
import { Group, NumberInput, Select } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

const units = { second: 1, minute: 60, hour: 3_600, day: 86_400 } as const;
type Unit = keyof typeof units;

/** The largest unit in which it is a whole number. */
export const unitOf = (seconds: number): Unit =>
  (['day', 'hour', 'minute'] as const).find((unit) => seconds % units[unit] === 0) ?? 'second';

export interface DurationProps {
  readonly label: string;
  readonly description?: string;
  /** In seconds; null: none. */
  readonly value: number | null;
  readonly onChange: (seconds: number | null) => void;
  readonly leastSeconds: number;
  readonly required?: boolean;
}

export function Duration({
  label,
  description,
  value,
  onChange,
  leastSeconds,
  required = false,
}: DurationProps): ReactNode {
  const { t } = useTranslation('shell');
  const [unit, setUnit] = useState<Unit>(value === null ? 'hour' : unitOf(value));
  const size = units[unit];
  const offered = (['minute', 'hour', 'day'] as const).map((each): Unit => each);
  return (
    <Group align="flex-end" gap="xs" wrap="nowrap">
      <NumberInput
        label={label}
        {...(description === undefined ? {} : { description })}
        value={value === null ? '' : value / size}
        onChange={(next) => onChange(typeof next === 'number' ? Math.round(next * size) : null)}
        min={leastSeconds / size}
        thousandSeparator
        required={required}
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
          if (value !== null) onChange(Math.round((value / size) * units[next]));
          setUnit(next);
        }}
        allowDeselect={false}
        w={110}
      />
    </Group>
  );
}
