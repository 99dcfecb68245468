// The models on each server: what is in memory, how large and until when; details, unloading, deleting, and pulling another.
import { Badge, Button, Group, ScrollArea, Skeleton, Stack, Table, Text, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct, useGet, wordsOf } from '../api.ts';
import type { PageOf, ServerModels } from '../api-types.ts';
import { IconCpu } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useChosen } from '../shell/address.ts';
import { useAsk } from '../shell/ask.tsx';
import { CardTable } from '../shell/card-table.tsx';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { useSearch } from '../shell/search.tsx';
import { ServerName } from '../shell/server-name.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';
import { ModelDetails } from './model-details.tsx';
import { ModelServer } from './model-server.ts';
import { PullForm, PullList, usePulls } from './pulls.tsx';

type Model = ServerModels['models'][number];

export default function Models(): ReactNode {
  const { t } = useTranslation('lists');
  const { operates } = useSession();
  const list = useGet<PageOf<ServerModels>>('/models', {}, 10_000);
  const pulls = usePulls();
  const [field, search] = useSearch(t('models.search'));
  const running = pulls.filter(({ state }) => state === 'running').length;
  const before = useRef(running);
  const { refetch } = list;
  // A pull has ended: there may be a model more.
  useEffect(() => {
    if (running < before.current) void refetch();
    before.current = running;
  }, [running, refetch]);
  const servers = list.data?.items ?? [];
  return (
    <Page title={t('models.title')} lead={t('models.lead')}>
      {operates && <PullForm servers={servers} isRunning={running > 0} />}
      <PullList pulls={pulls} />
      {field}
      {list.error && list.data === undefined && <Trouble problem={list.error} retry={() => void list.refetch()} />}
      {list.isPending && <Skeleton height={120} />}
      {list.data && servers.length === 0 && <Empty icon={<IconCpu size={28} />} text={t('models.noServers')} />}
      {servers.map((server) => (
        <OneServer key={server.server} server={server} search={search} />
      ))}
    </Page>
  );
}

interface OneServerProps {
  readonly server: ServerModels;
  readonly search: string;
}

function OneServer({ server, search }: OneServerProps): ReactNode {
  const { t } = useTranslation('lists');
  const { figure } = useWriting();
  const loaded = server.models.filter((model) => model.loaded !== null).length;
  const shown = server.models.filter(({ name }) => name.toLowerCase().includes(search.toLowerCase()));
  return (
    <Stack gap="xs">
      <Group gap="sm">
        <Title order={2} size="h4" style={{ overflowWrap: 'anywhere' }}>
          <ServerName address={server.server} />
        </Title>
        {server.kind !== null && (
          <Badge variant="light" color="gray">
            {server.kind}
          </Badge>
        )}
        {server.isServing ? (
          !server.answers && (
            <Badge variant="light" color="red">
              {t('models.silent')}
            </Badge>
          )
        ) : (
          <Badge variant="light" color="yellow">
            {t('models.outOfService')}
          </Badge>
        )}
        <Text size="sm" c="dimmed">
          {t('models.counts', { models: figure(server.models.length), loaded: figure(loaded) })}
        </Text>
      </Group>
      {server.answers && shown.length === 0 && <Text c="dimmed">{t('models.empty')}</Text>}
      {shown.length > 0 && <ModelTable server={server} models={shown} />}
    </Stack>
  );
}

function ModelTable({
  server,
  models,
}: {
  readonly server: ServerModels;
  readonly models: readonly Model[];
}): ReactNode {
  const { t } = useTranslation('lists');
  const { bytes, moment } = useWriting();
  const [shown, show] = useChosen('details');
  return (
    <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': server.server }}>
      <CardTable miw={720} verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th w="32%">{t('models.name')}</Table.Th>
            <Table.Th w="11%" ta="right">
              {t('models.size')}
            </Table.Th>
            <Table.Th w="22%">{t('models.memory')}</Table.Th>
            <Table.Th w="14%">{t('models.changed')}</Table.Th>
            <Table.Th />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {models.map((model) => (
            <Table.Tr key={model.name}>
              <Table.Td>
                <Text ff="monospace" size="sm" style={{ overflowWrap: 'anywhere' }}>
                  {model.name}
                </Text>
                <Text size="xs" c="dimmed">
                  {[model.family, model.parameters, model.quantization].filter((part) => part !== null).join(' · ')}
                </Text>
              </Table.Td>
              <Table.Td ta="right">{model.size === null ? '' : bytes(model.size)}</Table.Td>
              <Table.Td>
                <Loaded model={model} />
              </Table.Td>
              <Table.Td>{moment(model.changedAt)}</Table.Td>
              <Table.Td>
                <Actions server={server} model={model} details={() => show(`${server.server} ${model.name}`)} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </CardTable>
      {models
        .filter(({ name }) => shown === `${server.server} ${name}`)
        .map(({ name }) => (
          <ModelDetails key={name} server={server.server} model={name} close={() => show('')} />
        ))}
    </ScrollArea>
  );
}

function Loaded({ model: { loaded } }: { readonly model: Model }): ReactNode {
  const { t } = useTranslation('lists');
  const { bytes, moment, figure } = useWriting();
  if (loaded === null) return null;
  const { size, vram, until, context } = loaded;
  const facts = [
    size === null ? '' : bytes(size),
    vram === null ? '' : t('models.vram', { size: bytes(vram) }),
    context === null ? '' : t('models.context', { count: context, figure: figure(context) }),
    until === null ? '' : t('models.until', { time: moment(until) }),
  ].filter((part) => part !== '');
  return (
    <Stack gap={2} align="flex-start">
      <Badge variant="light" color="teal">
        {t('models.inMemory')}
      </Badge>
      {facts.map((fact) => (
        <Text key={fact} size="xs" c="dimmed">
          {fact}
        </Text>
      ))}
    </Stack>
  );
}

interface ActionsProps {
  readonly server: ServerModels;
  readonly model: Model;
  readonly details: () => void;
}

function Actions({ server: { server, isManaged }, model: { name, loaded }, details }: ActionsProps): ReactNode {
  const { t } = useTranslation('lists');
  const { operates } = useSession();
  const ask = useAsk();
  const [through] = useState(() => new ModelServer());
  useEffect(() => () => through.forget(), [through]);
  const refresh = ['/models', '/audit'];
  const unload = useAct(() => api.post('/models/unload', { server, model: name }), {
    done: t('models.unloaded'),
    refresh,
  });
  const list = useGet<PageOf<ServerModels>>('/models', {}, 10_000);
  const remove = useMutation({
    mutationFn: () => through.remove(name, server),
    onSuccess: async () => {
      notifications.show({ message: t('models.removed'), color: 'teal' });
      await list.refetch();
    },
    onError: (error) => notifications.show({ message: wordsOf(error), color: 'red' }),
  });
  const onRemove = async (): Promise<void> => {
    const question = {
      title: t('models.removeTitle', { name, server }),
      text: t('models.removeText'),
      act: t('models.remove'),
    };
    if (await ask(question)) remove.mutate();
  };
  if (!isManaged) return null;
  return (
    <Group gap={4} justify="flex-end">
      <Button size="compact-xs" variant="default" onClick={details}>
        {t('models.details')}
      </Button>
      {operates && loaded !== null && (
        <Button size="compact-xs" variant="default" loading={unload.isPending} onClick={() => unload.mutate(undefined)}>
          {t('models.unload')}
        </Button>
      )}
      {operates && (
        <Button
          size="compact-xs"
          variant="light"
          color="red"
          loading={remove.isPending}
          onClick={() => void onRemove()}
        >
          {t('models.remove')}
        </Button>
      )}
    </Group>
  );
}
