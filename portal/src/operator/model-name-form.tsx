// The form for a model name: its model, other models for some plans, and fallbacks in order.
import { ActionIcon, Autocomplete, Button, Group, TagsInput, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, faultOf, useAct } from '../api.ts';
import type { ModelName } from '../api-types.ts';
import { IconPlus, IconTrash } from '../icons.ts';
import { FormDialog } from '../shell/form-dialog.tsx';
import { type Seen, seeAgain, useSeen } from '../shell/seen.ts';
import { PlanChoice } from './plan-choice.tsx';

interface ForPlan {
  readonly plan: string | null;
  readonly model: string;
}

interface Fields {
  readonly name: string;
  readonly target: string;
  readonly plans: readonly ForPlan[];
  readonly fallbacks: readonly string[];
}

const blank: Fields = { name: '', target: '', plans: [], fallbacks: [] };
const refresh = ['/model-names', '/audit'];
const shows = (field: string): boolean => ['name', 'target', 'fallbacks'].includes(field);

interface FormProps {
  /** Models of the servers, to choose from. */
  readonly models: readonly string[];
  readonly close: () => void;
}

export function AddName({ models, close }: FormProps): ReactNode {
  const { t } = useTranslation('serving');
  const [fields, setFields] = useState(blank);
  const create = useAct(() => api.post('/model-names', { name: fields.name, ...bodyOf(fields) }, { once: true }), {
    done: t('names.added'),
    refresh,
    shows,
  });
  return (
    <FormDialog
      opened
      onClose={close}
      title={t('names.add')}
      act={t('names.add')}
      busy={create.isPending}
      send={() => {
        create.mutate(undefined, { onSuccess: close });
      }}
    >
      <Inputs
        fields={fields}
        models={models}
        error={create.error}
        set={(change) => setFields((before) => ({ ...before, ...change }))}
      />
    </FormDialog>
  );
}

export function ChangeName({ id, models, close }: FormProps & { readonly id: string }): ReactNode {
  const seen = useSeen<ModelName>(`/model-names/${id}`);
  return seen.data ? <Change seen={seen.data} again={seen.refetch} models={models} close={close} /> : null;
}

function Change({
  seen: { body: stored, etag },
  again,
  models,
  close,
}: FormProps & { readonly seen: Seen<ModelName>; readonly again: () => Promise<unknown> }): ReactNode {
  const { t } = useTranslation('serving');
  const [fields, setFields] = useState<Fields>(() => ({
    name: stored.name,
    target: stored.target ?? '',
    plans: Object.entries(stored.plans).map(([plan, model]) => ({ plan, model })),
    fallbacks: stored.fallbacks,
  }));
  const save = useAct(
    () => {
      const { plans, ...rest } = bodyOf(fields);
      // Omitted fields stay unchanged.
      const gone = Object.keys(stored.plans).filter((plan) => !Object.hasOwn(plans, plan));
      const body = { ...rest, plans: { ...Object.fromEntries(gone.map((plan) => [plan, null])), ...plans } };
      const renamed = fields.name === stored.name ? {} : { name: fields.name };
      return api.patch(`/model-names/${stored.id}`, { ...renamed, ...body }, etag === undefined ? {} : { etag });
    },
    { done: t('names.saved'), refresh, shows },
  );
  return (
    <FormDialog
      opened
      onClose={close}
      title={t('names.editTitle', { name: stored.name })}
      act={t('names.save')}
      busy={save.isPending}
      send={() => {
        save.mutate(undefined, { onSuccess: close, onError: seeAgain(again) });
      }}
    >
      <Inputs
        fields={fields}
        models={models}
        error={save.error}
        set={(change) => setFields((before) => ({ ...before, ...change }))}
      />
    </FormDialog>
  );
}

function bodyOf({ target, plans, fallbacks }: Fields): {
  readonly target: string | null;
  readonly plans: Record<string, string>;
  readonly fallbacks: readonly string[];
} {
  const chosen = plans.flatMap(({ plan, model }) =>
    plan === null || model.trim() === '' ? [] : [[plan, model] as const],
  );
  return { target: target.trim() === '' ? null : target, plans: Object.fromEntries(chosen), fallbacks };
}

function Inputs({
  fields,
  models,
  error,
  set,
}: {
  readonly fields: Fields;
  readonly error: Error | null;
  readonly models: readonly string[];
  readonly set: (change: Partial<Fields>) => void;
}): ReactNode {
  const { t } = useTranslation('serving');
  const setPlan = (at: number, change: Partial<ForPlan>): void =>
    set({ plans: fields.plans.map((each, other) => (other === at ? { ...each, ...change } : each)) });
  return (
    <>
      <TextInput
        label={t('names.name')}
        error={faultOf(error, 'name')}
        description={t('names.nameHint')}
        value={fields.name}
        onChange={(event) => set({ name: event.currentTarget.value })}
        maxLength={200}
        required
        data-autofocus
      />
      <Autocomplete
        label={t('names.target')}
        error={faultOf(error, 'target')}
        description={t('names.targetHint')}
        data={[...models]}
        value={fields.target}
        onChange={(value) => set({ target: value })}
        maxLength={200}
        limit={50}
      />
      {fields.plans.map(({ plan, model }, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row has no name before its plan is chosen
        <Group key={at} align="flex-end" gap="xs" wrap="nowrap">
          <PlanChoice label={t('names.plan')} value={plan} onChange={(value) => setPlan(at, { plan: value })} />
          <Autocomplete
            label={t('names.planModel')}
            data={[...models]}
            value={model}
            onChange={(value) => setPlan(at, { model: value })}
            flex={1}
            limit={50}
          />
          <ActionIcon
            variant="subtle"
            color="red"
            size="lg"
            aria-label={t('names.planRemove', { plan: plan ?? '' })}
            onClick={() => set({ plans: fields.plans.filter((_, other) => other !== at) })}
          >
            <IconTrash size={18} />
          </ActionIcon>
        </Group>
      ))}
      <Button
        variant="subtle"
        size="compact-sm"
        w="fit-content"
        leftSection={<IconPlus size={16} />}
        onClick={() => set({ plans: [...fields.plans, { plan: null, model: '' }] })}
      >
        {t('names.planAdd')}
      </Button>
      <TagsInput
        label={t('names.fallbacks')}
        error={faultOf(error, 'fallbacks')}
        description={t('names.fallbacksHint')}
        data={[...models]}
        value={[...fields.fallbacks]}
        onChange={(value) => set({ fallbacks: value })}
        maxTags={10}
        limit={50}
      />
    </>
  );
}
