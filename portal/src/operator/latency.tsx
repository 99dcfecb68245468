// Health over time: calls, failures, queue waits, durations and speeds, by model and server.
import {
  Anchor,
  Group,
  Paper,
  ScrollArea,
  Select,
  SimpleGrid,
  Skeleton,
  Stack,
  Table,
  Text,
  Title,
} from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useSearchParams } from 'wouter';
import { useGet } from '../api.ts';
import type { Latency as Read } from '../api-types.ts';
import { IconChartLine } from '../icons.ts';
import { LatencyCharts } from '../log/latency-charts.tsx';
import { useTimes } from '../log/times.ts';
import { CardTable } from '../shell/card-table.tsx';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { Segments } from '../shell/segments.tsx';
import { useServerNames } from '../shell/server-name.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';

const periods = ['hour', 'day', 'week', 'month', 'quarter', 'year'] as const;
/** The last hour moves along while the page is open. */
const everyMs = 30_000;

type Health = Read['total'];

export default function Latency(): ReactNode {
  const { t } = useTranslation('log');
  const [params, setParams] = useSearchParams();
  const period = periods.find((each) => each === params.get('period')) ?? 'day';
  const [model, server] = [params.get('model'), params.get('server')];
  const set = (name: string, value: string | null): void =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before);
        if (value === null) after.delete(name);
        else after.set(name, value);
        return after;
      },
      { replace: true },
    );
  const { data, error, isPending, refetch } = useGet<Read>('/latency', { period, model, server }, everyMs);
  const nameOf = useServerNames();
  // Only models and servers of the period can be chosen.
  const whole = useGet<Read>('/latency', { period }, everyMs);
  const models = named(
    whole.data?.models.map((row) => row.model),
    model,
  );
  const servers = named(
    whole.data?.servers.map((row) => row.server),
    server,
  );
  return (
    <Page title={t('latency.title')} lead={t('latency.lead')}>
      <Group align="flex-end">
        <Segments
          label={t('latency.periods')}
          value={period}
          onChange={(value) => set('period', value)}
          data={periods.map((value) => ({ value, label: t(`latency.period.${value}`) }))}
        />
        <Select
          aria-label={t('latency.model')}
          placeholder={t('latency.allModels')}
          data={models}
          value={model}
          onChange={(value) => set('model', value)}
          clearable
          searchable
        />
        <Select
          aria-label={t('latency.server')}
          placeholder={t('latency.allServers')}
          data={servers.map((address) => ({ value: address, label: nameOf(address) }))}
          value={server}
          onChange={(value) => set('server', value)}
          clearable
          searchable
        />
      </Group>
      {error && <Trouble problem={error} retry={() => void refetch()} />}
      {isPending && <Skeleton height={320} />}
      {data && data.total.requests === 0 && data.total.running === 0 && (
        <Empty icon={<IconChartLine size={28} />} text={t('latency.empty')} />
      )}
      {data && data.total.requests > 0 && <Shown read={data} />}
    </Page>
  );
}

/** Names that can be chosen, with the one that is chosen. */
const named = (names: readonly string[] = [], chosen: string | null): string[] =>
  [...new Set([...names, chosen ?? ''])].filter((name) => name !== '');

function Shown({ read }: { readonly read: Read }): ReactNode {
  const { t } = useTranslation('log');
  const nameOf = useServerNames();
  const range = `range=own&since=${read.since}&until=${read.until}`;
  return (
    <>
      <Totals total={read.total} />
      <LatencyCharts read={read} />
      <Codes codes={read.codes} range={range} />
      <Healths
        label={t('latency.byModel')}
        head={t('latency.model')}
        rows={read.models.map((row) => ({ ...row, name: row.model, otherwise: t('latency.noModel') }))}
        href={(name) => `/operate/requests?${range}&model=${encodeURIComponent(name)}`}
      />
      <Healths
        label={t('latency.byServer')}
        head={t('latency.server')}
        rows={read.servers.map((row) => ({
          ...row,
          name: row.server,
          said: nameOf(row.server),
          otherwise: t('latency.noServer'),
        }))}
        href={(name) => `/operate/requests?${range}&server=${encodeURIComponent(name)}`}
      />
    </>
  );
}

function Totals({ total }: { readonly total: Health }): ReactNode {
  const { t } = useTranslation('log');
  const { figure, aside } = useWriting();
  const spread = useSpread();
  const spreadOf = (what: string): string => aside(what, t('latency.spread'));
  const tiles: readonly (readonly [string, string, string?])[] = [
    [t('latency.requests'), figure(total.requests)],
    [`${t('latency.refused')} · ${t('latency.failed')}`, `${figure(total.refused)} · ${figure(total.failed)}`],
    [spreadOf(t('latency.firstToken')), spread(total.firstToken), t('latency.sent')],
    [spreadOf(t('latency.duration')), spread(total.duration), t('latency.sent')],
    [spreadOf(t('latency.queue')), spread(total.queue)],
    [spreadOf(t('latency.speed')), spread(total.speed, true), t('latency.slow')],
  ];
  return (
    <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }} spacing="sm">
      {tiles.map(([name, value, hint]) => (
        <Paper key={name} withBorder p="md" title={hint}>
          <Text size="sm" c="dimmed">
            {name}
          </Text>
          <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
            {value}
          </Text>
        </Paper>
      ))}
    </SimpleGrid>
  );
}

/** p50, p95 and p99 of a time, or of a speed. */
function useSpread(): (of: Health['duration'], isSpeed?: boolean) => string {
  const { figure } = useWriting();
  const { length } = useTimes();
  return (of, isSpeed = false) =>
    of === null
      ? '–'
      : [of.p50, of.p95, of.p99]
          // A figure stays beside its unit; lines break between the figures.
          .map((value) => (isSpeed ? figure(value) : length(value)).replaceAll(' ', '\u00a0'))
          .join(' / ');
}

interface HealthsProps {
  readonly label: string;
  readonly head: string;
  readonly rows: readonly (Health & { readonly name: string; readonly said?: string; readonly otherwise: string })[];
  readonly href: (name: string) => string;
}

function Healths({ label, head, rows, href }: HealthsProps): ReactNode {
  const { t } = useTranslation('log');
  const { figure } = useWriting();
  const spread = useSpread();
  const heads = [
    head,
    t('latency.requests'),
    t('latency.refused'),
    t('latency.failed'),
    t('latency.firstToken'),
    t('latency.duration'),
    t('latency.queue'),
    t('latency.speed'),
    t('latency.running'),
    t('latency.waiting'),
  ];
  return (
    <Stack gap="xs">
      <Title order={2} size="h4">
        {label}
      </Title>
      <Text size="xs" c="dimmed">
        {t('latency.spread')}
      </Text>
      <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': label }}>
        <CardTable miw={1080} verticalSpacing="xs">
          <Table.Thead>
            <Table.Tr>
              {heads.map((name, at) => (
                <Table.Th key={name} ta={at === 0 ? 'left' : 'right'}>
                  {name}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={row.name}>
                <Table.Td>
                  {row.name === '' ? (
                    <Text size="sm" c="dimmed">
                      {row.otherwise}
                    </Text>
                  ) : (
                    <Anchor component={Link} href={href(row.name)} size="sm">
                      {row.said ?? row.name}
                    </Anchor>
                  )}
                </Table.Td>
                <Table.Td ta="right">{figure(row.requests)}</Table.Td>
                <Table.Td ta="right">{figure(row.refused)}</Table.Td>
                <Table.Td ta="right">{figure(row.failed)}</Table.Td>
                <Table.Td ta="right">{spread(row.firstToken)}</Table.Td>
                <Table.Td ta="right">{spread(row.duration)}</Table.Td>
                <Table.Td ta="right">{spread(row.queue)}</Table.Td>
                <Table.Td ta="right">{spread(row.speed, true)}</Table.Td>
                <Table.Td ta="right">{figure(row.running)}</Table.Td>
                <Table.Td ta="right">{figure(row.waiting)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </CardTable>
      </ScrollArea>
    </Stack>
  );
}

function Codes({ codes, range }: { readonly codes: Read['codes']; readonly range: string }): ReactNode {
  const { t } = useTranslation('log');
  const { figure } = useWriting();
  const wrong = codes.filter(({ outcome }) => outcome !== 'completed' && outcome !== 'client_closed');
  if (wrong.length === 0) return null;
  return (
    <Stack gap="xs">
      <Title order={2} size="h4">
        {t('latency.errors')}
      </Title>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('latency.code')}</Table.Th>
            <Table.Th>{t('latency.outcome')}</Table.Th>
            <Table.Th ta="right">{t('latency.count')}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {wrong.map(({ outcome, code, requests }) => (
            <Table.Tr key={`${outcome} ${code}`}>
              <Table.Td style={{ overflowWrap: 'anywhere' }}>
                <Anchor
                  component={Link}
                  href={`/operate/requests?${range}&outcome=${outcome}${code === null ? '' : `&code=${code}`}`}
                  size="sm"
                  title={t('latency.show')}
                >
                  {code ?? t(`requests.outcomes.${outcome}`)}
                </Anchor>
              </Table.Td>
              <Table.Td>{t(`requests.outcomes.${outcome}`)}</Table.Td>
              <Table.Td ta="right">{figure(requests)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Stack>
  );
}
