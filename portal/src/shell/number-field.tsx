// A field for a number. What is no number, and a number of many digits, which Mantine gives as text, reach the gateway, which refuses
// them: only an empty field is taken for one, because that may mean "no limit".
import { NumberInput, type NumberInputProps } from '@mantine/core';
import type { ReactNode } from 'react';

/** Null: empty. A text: no number. */
export type Entered = number | string | null;

export interface NumberFieldProps extends Omit<NumberInputProps, 'value' | 'onChange' | 'error'> {
  readonly value: Entered | undefined;
  readonly onChange: (entered: Entered) => void;
  readonly error?: string | undefined;
}

export function NumberField({ value, onChange, ...rest }: NumberFieldProps): ReactNode {
  return (
    <NumberInput
      allowNegative={false}
      thousandSeparator
      {...rest}
      value={value ?? ''}
      onChange={(next) => onChange(enteredOf(next))}
    />
  );
}

function enteredOf(next: number | string): Entered {
  if (next === '') return null;
  const number = Number(next);
  return Number.isFinite(number) ? number : next;
}
