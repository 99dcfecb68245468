// The model servers with their state, models and access; adds, changes, drains and removes them.
import { Badge, Button, Group, Paper, SimpleGrid, Skeleton, Stack, Text, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { asSentence } from '../../../src/domain/sentences.ts';
import { api, useAct, useGet } from '../api.ts';
import type { PageOf, Server } from '../api-types.ts';
import { IconPlus, IconServer } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { useCause } from '../shell/cause.ts';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';
import { AddServer, ChangeServer } from './server-form.tsx';

/** States change without user actions. */
const everyMs = 3_000;

const colors = {
  unknown: 'gray',
  up: 'teal',
  doubtful: 'yellow',
  loading: 'yellow',
  refused: 'red',
  busy: 'yellow',
  down: 'red',
  draining: 'gray',
  maintenance: 'gray',
  unusable: 'red',
} as const satisfies Record<Server['state'], string>;

export default function Servers(): ReactNode {
  const { t } = useTranslation('serving');
  const { operates } = useSession();
  const servers = useGet<PageOf<Server>>('/servers', {}, everyMs);
  const [adding, setAdding] = useState(false);
  const add = operates && (
    <Button leftSection={<IconPlus size={18} />} onClick={() => setAdding(true)}>
      {t('servers.add')}
    </Button>
  );
  return (
    <Page title={t('servers.title')} help="model-servers" lead={t('servers.lead')} actions={add}>
      {servers.error && <Trouble problem={servers.error} retry={() => void servers.refetch()} />}
      {servers.isPending && <Skeleton height={160} />}
      {servers.data?.items.length === 0 && (
        <Empty icon={<IconServer size={28} />} text={t(operates ? 'servers.empty' : 'servers.noneSeen')} />
      )}
      <Stack gap="sm">
        {servers.data?.items.map((server) => (
          <One key={`${server.id ?? server.address} ${server.address}`} server={server} />
        ))}
      </Stack>
      {adding && <AddServer close={() => setAdding(false)} />}
    </Page>
  );
}

function One({ server }: { readonly server: Server }): ReactNode {
  const { t } = useTranslation('serving');
  const { relative } = useWriting();
  const { operates } = useSession();
  const inWords = useCause();
  const { name, address, fixed, state, since, reason, detectedKind, kind } = server;
  return (
    <Paper withBorder p="md">
      <Stack gap="xs">
        <Group justify="space-between" gap="xs">
          <Title order={2} size="h4" style={{ overflowWrap: 'anywhere' }}>
            {name}
          </Title>
          <Group gap="xs">
            {fixed && (
              <Badge variant="outline" color="gray" title={t('servers.fixedHint')}>
                {t('servers.fixed')}
              </Badge>
            )}
            <Badge variant="light" color={colors[state]}>
              {t(`servers.states.${state}`)}
            </Badge>
          </Group>
        </Group>
        <Text size="sm" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
          {name === address ? '' : `${address} · `}
          {detectedKind ?? kind ?? t('servers.kindUnknown')}
          {since !== null && ` · ${t('servers.since', { when: relative(since) })}`}
        </Text>
        {reason !== null && (
          <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
            {asSentence(inWords(reason))}
          </Text>
        )}
        <Facts server={server} />
        <Models server={server} />
        {operates && server.id !== null && <Acts id={server.id} server={server} />}
      </Stack>
    </Paper>
  );
}

function Facts({ server }: { readonly server: Server }): ReactNode {
  const { t } = useTranslation('serving');
  const { figure, moment, list, labeled } = useWriting();
  const { weight, slots, plans, accounts, secret, inFlight } = server;
  const slotTexts = Object.entries(slots ?? {}).map(([model, count]) =>
    labeled(model === '*' ? t('servers.slotsOther') : model, figure(count)),
  );
  const secretText =
    secret === null
      ? t('servers.secretNone')
      : secret.from === 'file'
        ? t('servers.secretFile', { file: secret.file })
        : t('servers.secretStored', { when: moment(secret.setAt) });
  const reachers = [...(plans ?? []), ...(accounts ?? [])];
  const facts: [what: string, text: string | readonly string[]][] = [
    [t('servers.inFlight'), figure(inFlight)],
    [t('servers.weight'), figure(weight)],
    [t('servers.slots'), slots === null ? t('servers.slotsUsual') : slotTexts],
    [t('servers.reach'), plans === null && accounts === null ? t('servers.everybody') : list(reachers)],
    [t('servers.secret'), secretText],
  ];
  return (
    <SimpleGrid component="dl" cols={{ base: 2, sm: 3, lg: 5 }} spacing="xs" my={0}>
      {facts.map(([what, text]) => (
        <div key={what}>
          <Text component="dt" size="xs" c="dimmed">
            {what}
          </Text>
          <Text component="dd" size="sm" m={0} style={{ overflowWrap: 'anywhere' }}>
            {typeof text === 'string'
              ? text
              : text.map((line) => (
                  <Text key={line} inherit>
                    {line}
                  </Text>
                ))}
          </Text>
        </div>
      ))}
    </SimpleGrid>
  );
}

const mostModels = 12;

function Models({ server: { models, modelCount } }: { readonly server: Server }): ReactNode {
  const { t } = useTranslation('serving');
  const { list } = useWriting();
  return (
    <div>
      <Text size="xs" c="dimmed">
        {t('servers.models', { count: modelCount })}
      </Text>
      <Text size="sm" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
        {modelCount === 0 ? t('servers.modelsNone') : list(models.slice(0, mostModels))}
        {modelCount > mostModels && ` ${t('servers.modelsMore', { count: modelCount - mostModels })}`}
      </Text>
    </div>
  );
}

function Acts({ id, server }: { readonly id: string; readonly server: Server }): ReactNode {
  const { t } = useTranslation('serving');
  const ask = useAsk();
  const [editing, setEditing] = useState(false);
  const { name, maintenance } = server;
  const refresh = ['/servers', '/audit'];
  const serve = useAct((out: boolean) => api.patch(`/servers/${id}`, { maintenance: out }), {
    done: t(maintenance ? 'servers.backDone' : 'servers.drained'),
    refresh,
  });
  const remove = useAct(() => api.delete(`/servers/${id}`), { done: t('servers.removed'), refresh });
  const onDrain = async (): Promise<void> => {
    const question = {
      title: t('servers.drainTitle', { name }),
      text: t('servers.drainText'),
      act: t('servers.drain'),
    };
    if (await ask(question)) serve.mutate(true);
  };
  const onRemove = async (): Promise<void> => {
    const title = t('servers.removeTitle', { name });
    if (await ask({ title, text: t('servers.removeText'), act: t('servers.remove') })) remove.mutate(undefined);
  };
  return (
    <Group gap="xs">
      <Button size="compact-sm" variant="default" onClick={() => setEditing(true)}>
        {t('servers.edit')}
      </Button>
      {maintenance ? (
        <Button size="compact-sm" variant="default" loading={serve.isPending} onClick={() => serve.mutate(false)}>
          {t('servers.back')}
        </Button>
      ) : (
        <Button size="compact-sm" variant="default" loading={serve.isPending} onClick={() => void onDrain()}>
          {t('servers.drain')}
        </Button>
      )}
      <Button size="compact-sm" variant="light" color="red" loading={remove.isPending} onClick={() => void onRemove()}>
        {t('servers.remove')}
      </Button>
      {editing && <ChangeServer id={id} close={() => setEditing(false)} />}
    </Group>
  );
}
