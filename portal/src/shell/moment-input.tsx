// A field for a date and a time of day, in the time zone of the page, which it names.
import { TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { instantOf, lastDay, useZone, wallAt } from './zone.ts';

export interface MomentInputProps {
  readonly label: string;
  readonly hint?: string;
  /** Null for none. */
  readonly value: string | null;
  readonly onChange: (time: string | null) => void;
  readonly seconds?: boolean;
  readonly readOnly?: boolean;
}

export function MomentInput({
  label,
  hint = '',
  value,
  onChange,
  seconds = false,
  readOnly = false,
}: MomentInputProps): ReactNode {
  const { t } = useTranslation('policy');
  const zone = useZone();
  // Kept as it is typed: a year has one digit at first.
  const [typed, setTyped] = useState('');
  const isoOf = (local: string): string | null => {
    const at = local === '' ? Number.NaN : instantOf(local, zone);
    return Number.isNaN(at) ? null : new Date(at).toISOString();
  };
  const at = Date.parse(value ?? '');
  const stored = Number.isNaN(at) ? '' : wallAt(at, zone).slice(0, seconds ? 19 : 16);
  return (
    <TextInput
      type="datetime-local"
      max={`${lastDay}T23:59:59`}
      label={label}
      description={
        <>
          {hint}
          {hint !== '' && <br />}
          {t('usage.zone', { zone })}
        </>
      }
      value={isoOf(typed) === value ? typed : stored}
      onChange={({ currentTarget }) => {
        setTyped(currentTarget.value);
        onChange(isoOf(currentTarget.value));
      }}
      readOnly={readOnly}
      {...(seconds ? { step: 1 } : {})}
    />
  );
}
