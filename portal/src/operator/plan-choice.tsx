// A select field for a plan.
import { Select } from '@mantine/core';
import type { ReactNode } from 'react';
import { useGet } from '../api.ts';
import type { PageOf, Plan } from '../api-types.ts';

export function PlanChoice(props: {
  readonly label: string;
  readonly value: string | null;
  readonly onChange: (plan: string | null) => void;
  readonly clearable?: boolean;
  readonly required?: boolean;
  readonly placeholder?: string;
}): ReactNode {
  const plans = useGet<PageOf<Plan>>('/plans');
  return (
    <Select
      {...props}
      data={plans.data?.items.map(({ name }) => name) ?? []}
      allowDeselect={props.clearable === true}
      comboboxProps={{ withinPortal: true }}
    />
  );
}
