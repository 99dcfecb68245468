// The form to create or change a rule.
import { Button, Select, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, faultOf, useAct } from '../api.ts';
import type { Rule } from '../api-types.ts';
import { IconPlus } from '../icons.ts';
import { Duration } from '../shell/duration.tsx';
import { FormDialog } from '../shell/form-dialog.tsx';
import { type Entered, NumberField } from '../shell/number-field.tsx';
import { PlansChoice } from './plan-choice.tsx';

const measures = ['tokens', 'requests', 'refusals', 'failedAuthentications', 'suspensions'] as const;
const steps = ['warn', 'slow', 'back', 'suspend', 'review', 'revoke'] as const;
const first: Rule = {
  name: '',
  measure: 'tokens',
  per: 'account',
  windowSeconds: 3600,
  threshold: 1_000_000,
  step: 'slow',
  durationSeconds: 3600,
  plans: null,
  shadow: true,
  enabled: true,
};

type Fields = Omit<Rule, 'threshold' | 'windowSeconds' | 'durationSeconds'> &
  Readonly<Record<'threshold' | 'windowSeconds' | 'durationSeconds', Entered>>;

/** Open if a rule is given; otherwise it has a button. */
export function RuleForm({ rule, close }: { readonly rule?: Rule; readonly close?: () => void }): ReactNode {
  const { t } = useTranslation('policy');
  const [open, setOpen] = useState(rule !== undefined);
  const [fields, setFields] = useState<Fields>(rule ?? first);
  const set = (change: Partial<Fields>): void => setFields((before) => ({ ...before, ...change }));
  const end = (): void => {
    setOpen(false);
    close?.();
  };
  const save = useAct(
    () => {
      const { name, ...rest } = fields;
      return rule ? api.patch(`/rules/${name}`, rest) : api.post('/rules', { name, ...rest }, { once: true });
    },
    {
      done: t(rule ? 'rules.saved' : 'rules.made'),
      refresh: ['/rules', '/audit'],
      shows: (field) => field in first && !(rule && field === 'name'),
    },
  );
  const wrong = (field: keyof Rule): string | undefined => faultOf(save.error, field);
  return (
    <>
      {!rule && (
        <Button leftSection={<IconPlus size={18} />} onClick={() => setOpen(true)}>
          {t('rules.create')}
        </Button>
      )}
      <FormDialog
        opened={open}
        onClose={end}
        title={rule?.name ?? t('rules.create')}
        act={t('rules.save')}
        busy={save.isPending}
        send={() => {
          save.mutate(undefined, { onSuccess: end });
        }}
      >
        {!rule && (
          <TextInput
            label={t('rules.fields.name')}
            error={wrong('name')}
            value={fields.name}
            onChange={(event) => set({ name: event.currentTarget.value })}
            pattern="[a-z0-9][a-z0-9\-]{0,39}"
            required
            data-autofocus
          />
        )}
        <Select
          label={t('rules.fields.measure')}
          error={wrong('measure')}
          data={measures.map((value) => ({ value, label: t(`rules.measure.${value}`) }))}
          value={fields.measure}
          onChange={(value) => set({ measure: value ?? 'tokens' })}
          allowDeselect={false}
        />
        <Select
          label={t('rules.fields.per')}
          error={wrong('per')}
          data={(['account', 'key'] as const).map((value) => ({ value, label: t(`rules.per.${value}`) }))}
          value={fields.per}
          onChange={(value) => set({ per: value ?? 'account' })}
          allowDeselect={false}
        />
        <NumberField
          label={t('rules.fields.threshold')}
          error={wrong('threshold')}
          value={fields.threshold}
          onChange={(threshold) => set({ threshold })}
          min={1}
          required
        />
        <Duration
          label={t('rules.fields.windowSeconds')}
          error={wrong('windowSeconds')}
          value={fields.windowSeconds}
          onChange={(seconds) => set({ windowSeconds: seconds })}
          leastSeconds={60}
          required
        />
        <Select
          label={t('rules.fields.step')}
          error={wrong('step')}
          data={steps.map((value) => ({ value, label: t(`rules.steps.${value}`) }))}
          value={fields.step}
          onChange={(value) => set({ step: value ?? 'slow' })}
          allowDeselect={false}
        />
        <Duration
          label={t('rules.fields.durationSeconds')}
          error={wrong('durationSeconds')}
          value={fields.durationSeconds}
          onChange={(seconds) => set({ durationSeconds: seconds })}
          leastSeconds={1}
        />
        <PlansChoice
          label={t('rules.fields.plans')}
          error={wrong('plans')}
          value={fields.plans ?? []}
          onChange={(plans) => set({ plans: plans.length > 0 ? plans : null })}
        />
      </FormDialog>
    </>
  );
}
