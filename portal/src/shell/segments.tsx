// One choice of a few: side by side, or as a list on a phone, where they would take several rows.
import { NativeSelect, SegmentedControl } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import type { ReactNode } from 'react';

export interface SegmentsProps<Value extends string> {
  readonly label: string;
  readonly value: Value;
  readonly onChange: (value: Value) => void;
  readonly data: readonly { readonly value: Value; readonly label: string }[];
}

export function Segments<Value extends string>({ label, value, onChange, data }: SegmentsProps<Value>): ReactNode {
  const isNarrow = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });
  return isNarrow ? (
    <NativeSelect
      aria-label={label}
      data={[...data]}
      value={value}
      onChange={({ currentTarget }) => onChange(currentTarget.value as Value)}
      flex={1}
      miw={120}
    />
  ) : (
    <SegmentedControl aria-label={label} value={value} onChange={onChange} data={[...data]} />
  );
}
