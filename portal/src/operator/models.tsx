// The models of the servers: list, pull with progress, and delete.
import {
  Progress as Bar,
  Button,
  Code,
  Group,
  Paper,
  ScrollArea,
  Select,
  Skeleton,
  Stack,
  Table,
  Text,
  TextInput,
  Title,
} from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { wordsOf } from '../api.ts';
import { IconCpu } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { CardTable } from '../shell/card-table.tsx';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { useWriting } from '../shell/when.ts';
import { Against, sending } from '../visitor/form.tsx';
import { ModelServer, PullError } from './model-server.ts';
import { resumePull, startPull, stopPull, usePull } from './pulls.ts';

export default function Models(): ReactNode {
  const { t } = useTranslation('policy');
  const { operates } = useSession();
  return (
    <Page title={t('models.title')} lead={t('models.lead')}>
      {operates ? <Inside /> : <Empty icon={<IconCpu size={28} />} text={t('models.operatorOnly')} />}
    </Page>
  );
}

function Inside(): ReactNode {
  const { t } = useTranslation('policy');
  const { session } = useSession();
  const { bytes, moment } = useWriting();
  const ask = useAsk();
  const account = session.account?.name ?? 'operator';
  const [server] = useState(() => new ModelServer());
  useEffect(() => () => server.forget(), [server]);
  const list = useQuery({ queryKey: ['models'], queryFn: () => server.list(), staleTime: 0, retry: false });
  const servers = useQuery({ queryKey: ['models', 'servers'], queryFn: () => server.servers(), retry: false });
  const [where, setWhere] = useState('');
  const chosen = where === '' ? undefined : where;
  const remove = useMutation({
    mutationFn: (name: string) => server.remove(name, chosen),
    onSuccess: async () => {
      notifications.show({ message: t('models.removed'), color: 'teal' });
      await list.refetch();
    },
    onError: (error) => notifications.show({ message: wordsOf(error), color: 'red' }),
  });
  const onRemove = async (name: string): Promise<void> => {
    const question = {
      title: t('models.removeTitle', { name }),
      text: t('models.removeText'),
      act: t('models.remove'),
    };
    if (await ask(question)) remove.mutate(name);
  };
  return (
    <>
      {servers.data && servers.data.length > 1 && (
        <Select
          label={t('models.where')}
          description={t('models.whereHint')}
          data={[
            { value: '', label: t('models.anywhere') },
            { value: 'all', label: t('models.everywhere') },
            ...servers.data.map(({ name }) => ({ value: name, label: name })),
          ]}
          value={where}
          onChange={(value) => setWhere(value ?? '')}
          allowDeselect={false}
          maw={420}
        />
      )}
      <Pull account={account} where={chosen} done={() => void list.refetch()} />
      <Against error={list.error} />
      {list.isPending && <Skeleton height={120} />}
      {list.data?.length === 0 && <Empty icon={<IconCpu size={28} />} text={t('models.empty')} />}
      {list.data && list.data.length > 0 && (
        <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('models.title') }}>
          <CardTable miw={520}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('models.name')}</Table.Th>
                <Table.Th ta="right">{t('models.size')}</Table.Th>
                <Table.Th>{t('models.changed')}</Table.Th>
                <Table.Th />
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {list.data.map(({ name, size, modified_at: changed }) => (
                <Table.Tr key={name}>
                  <Table.Td ff="monospace">{name}</Table.Td>
                  <Table.Td ta="right">{bytes(size)}</Table.Td>
                  <Table.Td>{moment(changed)}</Table.Td>
                  <Table.Td ta="right">
                    <Button size="compact-xs" variant="light" color="red" onClick={() => void onRemove(name)}>
                      {t('models.remove')}
                    </Button>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </CardTable>
        </ScrollArea>
      )}
    </>
  );
}

interface PullProps {
  readonly account: string;
  readonly where: string | undefined;
  readonly done: () => void;
}

function Pull({ account, where, done }: PullProps): ReactNode {
  const { t } = useTranslation('policy');
  const { bytes } = useWriting();
  const [name, setName] = useState('');
  const pull = usePull();
  const isRunning = pull?.state === 'running';
  useEffect(() => resumePull(account), [account]);
  const ended = pull?.state;
  useEffect(() => {
    if (ended !== undefined && ended !== 'running') done();
    // Only the end of a pull changes the list.
    // oxlint-disable-next-line react/exhaustive-deps -- `done` is new with every drawing
  }, [ended]);
  const start = (): void => {
    const model = name.trim();
    setName('');
    void startPull(account, model, where);
  };
  const progress = isRunning ? pull.progress : undefined;
  const share = progress && progress.total > 0 ? (progress.completed / progress.total) * 100 : 0;
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h4" mb="sm">
        {t('models.pull')}
      </Title>
      <form onSubmit={sending(start)}>
        <Group align="flex-end">
          <TextInput
            label={t('models.name')}
            placeholder={t('models.nameHint')}
            value={isRunning ? pull.model : name}
            onChange={(event) => setName(event.currentTarget.value)}
            disabled={isRunning}
            required
            flex={1}
          />
          {isRunning ? (
            <Button color="red" onClick={stopPull}>
              {t('models.stop')}
            </Button>
          ) : (
            <Button type="submit">{t('models.begin')}</Button>
          )}
        </Group>
      </form>
      <Stack gap={4} mt="sm" aria-live="polite">
        {pull?.state === 'done' && <Text size="sm">{t('models.done', { name: pull.model })}</Text>}
        {pull?.state === 'failed' && <PullFailed error={pull.error} />}
        {isRunning && (
          <>
            <Bar value={share > 0 ? share : 100} animated={share === 0} aria-label={t('models.pull')} />
            <Text size="sm">
              {progress && progress.total > 0
                ? t('models.progress', {
                    status: t(`models.phase.${phaseOf(progress.status)}`),
                    done: bytes(progress.completed),
                    total: bytes(progress.total),
                  })
                : t(`models.phase.${phaseOf(progress?.status ?? '')}`)}
            </Text>
            <Text size="xs" c="dimmed">
              {t('models.goesOn')}
            </Text>
          </>
        )}
      </Stack>
    </Paper>
  );
}

/** The phases of a pull as Ollama names them; any other is shown as work in progress. */
function phaseOf(status: string): 'manifest' | 'layers' | 'verify' | 'write' | 'work' {
  if (status.startsWith('pulling manifest')) return 'manifest';
  if (/^(?:pulling|downloading)/.test(status)) return 'layers';
  if (status.startsWith('verifying')) return 'verify';
  return /^(?:writing|removing|success)/.test(status) ? 'write' : 'work';
}

function PullFailed({ error }: { readonly error: Error | undefined }): ReactNode {
  const { t } = useTranslation('policy');
  if (!(error instanceof PullError)) return <Against error={error} />;
  return (
    <>
      <Against>{t('models.refused')}</Against>
      <Code lang="en">{error.said}</Code>
    </>
  );
}
