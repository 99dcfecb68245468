// The form to create or change a rule.
import { Button, NumberInput, Select, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct } from '../api.ts';
import type { Rule } from '../api-types.ts';
import { IconPlus } from '../icons.ts';
import { Duration } from '../shell/duration.tsx';
import { FormDialog } from '../shell/form-dialog.tsx';
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

/** Open if a rule is given; otherwise it has a button. */
export function RuleForm({ rule, close }: { readonly rule?: Rule; readonly close?: () => void }): ReactNode {
  const { t } = useTranslation('policy');
  const [open, setOpen] = useState(rule !== undefined);
  const [fields, setFields] = useState(rule ?? first);
  const set = (change: Partial<Rule>): void => setFields((before) => ({ ...before, ...change }));
  const end = (): void => {
    setOpen(false);
    close?.();
  };
  const save = useAct(
    () => {
      const { name, ...rest } = fields;
      return rule ? api.patch(`/rules/${name}`, rest) : api.post('/rules', { name, ...rest }, { once: true });
    },
    { done: t(rule ? 'rules.saved' : 'rules.made'), refresh: ['/rules', '/audit'] },
  );
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
            value={fields.name}
            onChange={(event) => set({ name: event.currentTarget.value })}
            pattern="[a-z0-9][a-z0-9\-]{0,39}"
            required
            data-autofocus
          />
        )}
        <Select
          label={t('rules.fields.measure')}
          data={measures.map((value) => ({ value, label: t(`rules.measure.${value}`) }))}
          value={fields.measure}
          onChange={(value) => set({ measure: value ?? 'tokens' })}
          allowDeselect={false}
        />
        <Select
          label={t('rules.fields.per')}
          data={(['account', 'key'] as const).map((value) => ({ value, label: t(`rules.per.${value}`) }))}
          value={fields.per}
          onChange={(value) => set({ per: value ?? 'account' })}
          allowDeselect={false}
        />
        <NumberInput
          label={t('rules.fields.threshold')}
          value={fields.threshold}
          onChange={(value) => set({ threshold: Number(value) })}
          min={1}
          thousandSeparator
          required
        />
        <Duration
          label={t('rules.fields.windowSeconds')}
          value={fields.windowSeconds}
          onChange={(seconds) => set({ windowSeconds: seconds ?? 60 })}
          leastSeconds={60}
          required
        />
        <Select
          label={t('rules.fields.step')}
          data={steps.map((value) => ({ value, label: t(`rules.steps.${value}`) }))}
          value={fields.step}
          onChange={(value) => set({ step: value ?? 'slow' })}
          allowDeselect={false}
        />
        <Duration
          label={t('rules.fields.durationSeconds')}
          value={fields.durationSeconds}
          onChange={(seconds) => set({ durationSeconds: seconds })}
          leastSeconds={1}
        />
        <PlansChoice
          label={t('rules.fields.plans')}
          value={fields.plans ?? []}
          onChange={(plans) => set({ plans: plans.length > 0 ? plans : null })}
        />
      </FormDialog>
    </>
  );
}
