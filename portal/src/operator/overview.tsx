// The current state of the gateway, updated by events: running and waiting calls, speeds, servers, and tasks for the operator.
import {
  Alert,
  Anchor,
  Badge,
  Button,
  Group,
  Paper,
  SimpleGrid,
  Skeleton,
  Stack,
  Table,
  Text,
  Title,
} from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { api, useAct } from '../api.ts';
import type { Overview as Now } from '../api-types.ts';
import { IconActivity, IconCertificateOff, IconPlugConnectedX } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { useCause } from '../shell/cause.ts';
import { AccountName } from '../shell/named.tsx';
import { Page } from '../shell/page.tsx';
import { probe } from '../shell/reach.ts';
import { ServerName, useServerNames } from '../shell/server-name.tsx';
import { useWriting } from '../shell/when.ts';
import { Checklist } from './checklist.tsx';
import { Spark } from './spark.tsx';

const kept = 120;

/** The gateway sends an overview every second. A pause on a busy machine is not a lost connection. */
const silenceMs = 5_000;

type Connection = 'connecting' | 'live' | 'paused';

/** The latest overview, the speeds of the last two minutes, and whether events still arrive. */
function useOverview(): { now: Now | undefined; speeds: readonly number[]; connection: Connection } {
  const [now, setNow] = useState<Now>();
  const [speeds, setSpeeds] = useState<readonly number[]>([]);
  const [connection, setConnection] = useState<Connection>('connecting');
  const client = useQueryClient();
  useEffect(() => {
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let heardAt = Date.now();
    const open = (): void => {
      source = new EventSource('/management/v1/events');
      source.addEventListener('overview', ({ data }: MessageEvent<string>) => {
        const next = JSON.parse(data) as Now;
        heardAt = Date.now();
        setConnection('live');
        setNow(next);
        setSpeeds((before) => [...before, next.tokensPerSecond].slice(-kept));
      });
      source.addEventListener('error', () => {
        // The browser reconnects by itself, except after a refusal; then this code does.
        void probe();
        if (source?.readyState !== EventSource.CLOSED) return;
        timer = setTimeout(open, 3_000);
        // An event stream does not tell why it was refused; this request shows whether the session has expired.
        void client.refetchQueries({ queryKey: ['/session'] });
      });
    };
    open();
    const watch = setInterval(() => {
      if (Date.now() - heardAt > silenceMs) setConnection('paused');
    }, 1_000);
    return () => {
      clearInterval(watch);
      clearTimeout(timer);
      source?.close();
    };
  }, [client]);
  return { now, speeds, connection };
}

const colors = { connecting: 'gray', live: 'teal', paused: 'orange' } as const;

export default function Overview(): ReactNode {
  const { t } = useTranslation('operator');
  const { now, speeds, connection } = useOverview();
  const { figure } = useWriting();
  return (
    <Page
      title={t('overview.title')}
      actions={
        <Badge
          size="lg"
          variant="light"
          color={colors[connection]}
          leftSection={connection === 'paused' ? <IconPlugConnectedX size={14} /> : <IconActivity size={14} />}
          role="status"
        >
          {t(`overview.${connection}`)}
        </Badge>
      }
    >
      {now === undefined ? (
        <Skeleton height={240} />
      ) : (
        <Stack>
          <Checklist />
          <Certificates now={now} />
          {!now.accepting && <Alert color="orange">{t('overview.draining')}</Alert>}
          <SimpleGrid cols={{ base: 2, md: 4 }}>
            <Figure label={t('overview.running')} value={figure(now.running - now.waiting)} />
            <Figure label={t('overview.waiting')} value={figure(now.waiting)} />
            <Figure label={t('overview.speed')} value={figure(now.tokensPerSecond)}>
              <Spark values={speeds} length={kept} />
            </Figure>
            <Figure label={t('overview.recent')} value={figure(now.recent)} />
          </SimpleGrid>
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            <Todo now={now} />
            <Servers now={now} />
            <Here now={now} />
            <Today now={now} />
            <Refused now={now} />
          </SimpleGrid>
        </Stack>
      )}
    </Page>
  );
}

function Figure(props: { readonly label: string; readonly value: string; readonly children?: ReactNode }): ReactNode {
  return (
    <Paper withBorder p="md">
      <Text size="sm" c="dimmed">
        {props.label}
      </Text>
      <Text fz={28} fw={650} lh={1.2}>
        {props.value}
      </Text>
      {props.children}
    </Paper>
  );
}

function Box({ title, children }: { readonly title: string; readonly children: ReactNode }): ReactNode {
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h5" mb="xs">
        {title}
      </Title>
      {children}
    </Paper>
  );
}

/** Shown on the page, so that operators notice before their users do. */
function Certificates({ now }: { readonly now: Now }): ReactNode {
  const { t } = useTranslation('operator');
  const { moment } = useWriting();
  const inWords = useCause();
  const { endsAt } = now.encryption;
  if (endsAt === null && now.encryption.problem === null) return null;
  const problem = now.encryption.problem === null ? null : inWords(now.encryption.problem);
  const ended = endsAt !== null && Date.parse(endsAt) <= Date.now();
  const title =
    endsAt === null
      ? t('overview.certificateFailed')
      : ended
        ? t('overview.certificateEnded')
        : t('overview.certificateEnds', { when: moment(endsAt) });
  return (
    <Alert color={ended ? 'red' : 'orange'} icon={<IconCertificateOff size={20} />} title={title}>
      {problem !== null && (
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          {endsAt === null ? problem : t('overview.certificateWhy', { problem })}
        </Text>
      )}
      <Anchor component={Link} href="/operate/settings" size="sm" c="inherit">
        {t('overview.certificateMore')}
      </Anchor>
    </Alert>
  );
}

function Todo({ now }: { readonly now: Now }): ReactNode {
  const { t } = useTranslation('operator');
  const { applications, appeals } = now;
  return (
    <Box title={t('overview.todo')}>
      {applications + appeals === 0 && <Text c="dimmed">{t('overview.nothing')}</Text>}
      <Group>
        {applications > 0 && (
          <Button component={Link} href="/operate/applications" variant="light">
            {t('overview.applications', { count: applications })}
          </Button>
        )}
        {appeals > 0 && (
          <Button component={Link} href="/operate/suspensions" variant="light">
            {t('overview.appeals', { count: appeals })}
          </Button>
        )}
      </Group>
    </Box>
  );
}

const stateColors = {
  unknown: 'gray',
  up: 'teal',
  doubtful: 'yellow',
  loading: 'blue',
  busy: 'yellow',
  refused: 'red',
  down: 'red',
  draining: 'gray',
} as const satisfies Record<Now['upstreams'][number]['state'], string>;

function Servers({ now }: { readonly now: Now }): ReactNode {
  const { t } = useTranslation('operator');
  const { relative } = useWriting();
  const inWords = useCause();
  const nameOf = useServerNames();
  return (
    <Box title={t('overview.servers')}>
      <Stack gap="xs">
        {now.upstreams.map(({ name, state, since, reason, kind, inFlight }) => (
          <Group key={name} justify="space-between" gap="xs">
            <Text size="sm" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
              <ServerName address={name} />
            </Text>
            <Group gap="xs">
              {kind !== null && (
                <Text size="sm" c="dimmed">
                  {kind}
                </Text>
              )}
              <Text size="sm">{t('overview.inFlight', { count: inFlight })}</Text>
              <Badge variant="light" color={stateColors[state]} title={reason === null ? undefined : inWords(reason)}>
                {t(`overview.server.${state === 'draining' && inFlight === 0 ? 'out' : state}`)}
              </Badge>
            </Group>
            {reason !== null && (
              <Text size="xs" c="dimmed" w="100%">
                {t('overview.serverSince', { when: relative(since), reason: inWords(reason) })}
              </Text>
            )}
          </Group>
        ))}
        {now.loads.map(({ server, model, since, leftMs, waiting }) => (
          <Group key={`${server} ${model}`} justify="space-between" gap="xs">
            <Text size="sm" ff="monospace">
              {model}
            </Text>
            <Text size="sm" c="dimmed">
              {t(since === null ? 'overview.loadNext' : leftMs === null ? 'overview.load' : 'overview.loadLeft', {
                count: waiting,
                waiting,
                server: nameOf(server),
                seconds: Math.ceil((leftMs ?? 0) / 1000),
              })}
            </Text>
          </Group>
        ))}
        {now.queues.map(({ model, running, waiting, accounts }) => (
          <Group key={model} justify="space-between" gap="xs">
            <Text size="sm" ff="monospace">
              {model}
            </Text>
            <Text size="sm" c="dimmed">
              {t('overview.queueText', { count: accounts, running, waiting, accounts })}
            </Text>
          </Group>
        ))}
      </Stack>
    </Box>
  );
}

function Here({ now }: { readonly now: Now }): ReactNode {
  const { t } = useTranslation('operator');
  const { operates } = useSession();
  const { figure, list } = useWriting();
  const ask = useAsk();
  const suspend = useAct(
    (whom: string) =>
      api.post('/suspensions', { whom, step: 'suspend', reason: t('overview.suspendReason') }, { once: true }),
    { done: t('overview.suspended'), refresh: ['/suspensions'] },
  );
  return (
    <Box title={t('overview.now')}>
      {now.accounts.length === 0 ? (
        <Text c="dimmed">{t('overview.quiet')}</Text>
      ) : (
        <Stack gap="xs">
          {now.accounts.slice(0, 20).map(({ account, name, running, waiting, tokensPerSecond, elsewhere }) => (
            <Group key={account} gap="xs" wrap="nowrap">
              <Group justify="space-between" gap="0 0.625rem" flex={1} miw={0}>
                <AccountName id={account} name={name} />
                <Text size="sm">{t('overview.each', { running, waiting, speed: figure(tokensPerSecond) })}</Text>
                {elsewhere.length > 0 && (
                  <Text size="sm" c="dimmed">
                    {t('overview.elsewhere', { gates: list(elsewhere) })}
                  </Text>
                )}
              </Group>
              {operates && name !== 'operator' && (
                <Button
                  size="compact-xs"
                  variant="light"
                  color="red"
                  onClick={() =>
                    void ask({
                      title: t('overview.suspendTitle', { name }),
                      text: t('overview.suspendText'),
                      act: t('overview.suspend'),
                    }).then((yes) => {
                      if (yes) suspend.mutate(account);
                    })
                  }
                >
                  {t('overview.suspend')}
                </Button>
              )}
            </Group>
          ))}
        </Stack>
      )}
    </Box>
  );
}

function Today({ now }: { readonly now: Now }): ReactNode {
  const { t } = useTranslation('operator');
  const { figure } = useWriting();
  return (
    <Box title={t('overview.top')}>
      {now.top.length === 0 ? (
        <Text c="dimmed">{t('overview.topNone')}</Text>
      ) : (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('overview.account')}</Table.Th>
              <Table.Th ta="right">{t('overview.calls')}</Table.Th>
              <Table.Th ta="right">{t('overview.tokens')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {now.top.map(({ account, name, tokens, requests }) => (
              <Table.Tr key={account}>
                <Table.Td>
                  <AccountName id={account} name={name} />
                </Table.Td>
                <Table.Td ta="right">{figure(requests)}</Table.Td>
                <Table.Td ta="right">{figure(tokens)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Box>
  );
}

function Refused({ now }: { readonly now: Now }): ReactNode {
  const { t } = useTranslation('operator');
  const { figure } = useWriting();
  return (
    <Box title={t('overview.refusals')}>
      {now.refusals.length === 0 && <Text c="dimmed">{t('overview.refusalsNone')}</Text>}
      <Stack gap={4}>
        {now.refusals.map(({ code, count }) => (
          <Group key={code} justify="space-between">
            <Text size="sm" ff="monospace">
              {code}
            </Text>
            <Text size="sm">{figure(count)}</Text>
          </Group>
        ))}
      </Stack>
    </Box>
  );
}
