// Fields that choose one plan, or several.
import { MultiSelect, Select } from '@mantine/core';
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

export interface PlansChoiceProps {
  readonly label: string;
  readonly value: readonly string[];
  readonly onChange: (plans: string[]) => void;
  readonly error?: string | undefined;
}

export function PlansChoice({ label, value, onChange, error }: PlansChoiceProps): ReactNode {
  const plans = useGet<PageOf<Plan>>('/plans');
  const known = plans.data?.items.map(({ name }) => name) ?? [];
  // A plan that is gone can still be taken out.
  const data = [...new Set([...known, ...value])];
  return (
    <MultiSelect label={label} error={error} data={data} value={[...value]} onChange={onChange} searchable clearable />
  );
}
