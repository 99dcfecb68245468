// Model names: the model that each one stands for, for whom, and its fallbacks.
import { Badge, Button, Group, Paper, Skeleton, Stack, Text, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct, useGet } from '../api.ts';
import type { ModelName, PageOf, Server } from '../api-types.ts';
import { IconPlus, IconTag } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { AddName, ChangeName } from './model-name-form.tsx';

/** Compares names like the gateway, for hints only; the gateway decides. */
const canonical = (name: string): string => {
  const text = name.toLowerCase();
  return text.slice(text.lastIndexOf('/') + 1).includes(':') ? text : `${text}:latest`;
};

/** The models of the servers that respond. */
interface Known {
  readonly names: readonly string[];
  readonly canonical: ReadonlySet<string>;
}

function useKnown(): Known | undefined {
  const servers = useGet<PageOf<Server>>('/servers');
  if (!servers.data) return undefined;
  const names = servers.data.items.flatMap(({ state, models }) => (state === 'down' ? [] : models));
  return { names: [...new Set(names)].toSorted(), canonical: new Set(names.map(canonical)) };
}

export default function ModelNames(): ReactNode {
  const { t } = useTranslation('serving');
  const { operates } = useSession();
  const names = useGet<PageOf<ModelName>>('/model-names');
  const known = useKnown();
  const [adding, setAdding] = useState(false);
  const add = operates && (
    <Button leftSection={<IconPlus size={18} />} onClick={() => setAdding(true)}>
      {t('names.add')}
    </Button>
  );
  return (
    <Page title={t('names.title')} help="model-names" lead={t('names.lead')} actions={add}>
      {names.error && <Trouble problem={names.error} retry={() => void names.refetch()} />}
      {names.isPending && <Skeleton height={120} />}
      {names.data?.items.length === 0 && (
        <Empty icon={<IconTag size={28} />} text={t(operates ? 'names.empty' : 'names.noneSeen')} />
      )}
      <Stack gap="sm">
        {names.data?.items.map((name) => (
          <One key={name.id} name={name} known={known} />
        ))}
      </Stack>
      {adding && <AddName models={known?.names ?? []} close={() => setAdding(false)} />}
    </Page>
  );
}

function One({ name, known }: { readonly name: ModelName; readonly known: Known | undefined }): ReactNode {
  const { t } = useTranslation('serving');
  const { operates } = useSession();
  const plans = Object.entries(name.plans);
  const isAlias = name.target !== null || plans.length > 0;
  const models = [...new Set([...(name.target === null ? [] : [name.target]), ...plans.map(([, model]) => model)])];
  const missing = known
    ? (isAlias ? models : [name.name]).filter((model) => !known.canonical.has(canonical(model)))
    : [];
  return (
    <Paper withBorder p="md">
      <Stack gap="xs">
        <Title order={2} size="h4" style={{ overflowWrap: 'anywhere' }}>
          {name.name}
        </Title>
        <Line what={t('names.target')}>{isAlias ? (name.target ?? t('names.onlyPlans')) : t('names.itself')}</Line>
        {plans.map(([plan, model]) => (
          <Text key={plan} size="sm" style={{ overflowWrap: 'anywhere' }}>
            {t('names.forPlan', { plan, model })}
          </Text>
        ))}
        <Line what={t('names.fallbacks')}>
          {name.fallbacks.length === 0 ? t('names.fallbacksNone') : name.fallbacks.join(' → ')}
        </Line>
        {isAlias && known?.canonical.has(name.canonical) === true && <Hint>{t('names.shadows')}</Hint>}
        {missing.map((model) => (
          <Hint key={model}>{t('names.missing', { model })}</Hint>
        ))}
        {operates && <Acts name={name} isAlias={isAlias} models={known?.names ?? []} />}
      </Stack>
    </Paper>
  );
}

const Line = ({ what, children }: { readonly what: string; readonly children: ReactNode }): ReactNode => (
  <Group gap="xs" wrap="nowrap" align="baseline">
    <Text size="sm" c="dimmed" style={{ flexShrink: 0 }}>
      {what}
    </Text>
    <Text size="sm" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
      {children}
    </Text>
  </Group>
);

const Hint = ({ children }: { readonly children: ReactNode }): ReactNode => (
  <Badge
    variant="light"
    color="yellow"
    tt="none"
    h="auto"
    py={4}
    maw="100%"
    styles={{ label: { whiteSpace: 'normal', overflowWrap: 'anywhere' } }}
  >
    {children}
  </Badge>
);

function Acts({
  name: { id, name },
  isAlias,
  models,
}: {
  readonly name: ModelName;
  readonly isAlias: boolean;
  readonly models: readonly string[];
}): ReactNode {
  const { t } = useTranslation('serving');
  const ask = useAsk();
  const [editing, setEditing] = useState(false);
  const remove = useAct(() => api.delete(`/model-names/${id}`), {
    done: t('names.removed'),
    refresh: ['/model-names', '/audit'],
  });
  const onRemove = async (): Promise<void> => {
    const text = t(isAlias ? 'names.removeText' : 'names.removeTextFallbacks');
    if (await ask({ title: t('names.removeTitle', { name }), text, act: t('names.remove') })) remove.mutate(undefined);
  };
  return (
    <Group gap="xs">
      <Button size="compact-sm" variant="default" onClick={() => setEditing(true)}>
        {t('names.edit')}
      </Button>
      <Button size="compact-sm" variant="light" color="red" loading={remove.isPending} onClick={() => void onRemove()}>
        {t('names.remove')}
      </Button>
      {editing && <ChangeName id={id} models={models} close={() => setEditing(false)} />}
    </Group>
  );
}
