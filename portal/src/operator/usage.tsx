// Everybody's usage: sums by day, account, model and key, the rows of the ledger with filters, and both as CSV.
import {
  Button,
  Group,
  Paper,
  SegmentedControl,
  Select,
  Skeleton,
  Stack,
  Table,
  Text,
  TextInput,
  Title,
} from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconChartBar, IconDownload } from '@tabler/icons-react';
import { lazy, type ReactNode, Suspense, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet, usePages, withQuery } from '../api.ts';
import type { PageOf, UsageRow, UsageSum } from '../api-types.ts';
import { useChosen, useChosenOf, useTyped } from '../shell/address.ts';
import { Empty } from '../shell/empty.tsx';
import { AccountName } from '../shell/named.tsx';
import { Page } from '../shell/page.tsx';
import { Rows } from '../shell/rows.tsx';
import { Sums } from '../shell/sums.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';

const Bars = lazy(() => import('../shell/bars.tsx'));
const groups = ['day', 'account', 'model', 'key'] as const;
const periods = ['1', '7', '30', '365'] as const;
const outcomes = ['completed', 'refused', 'upstream_error', 'failed', 'client_closed', 'ended', 'interrupted'] as const;

export default function Usage(): ReactNode {
  const { t } = useTranslation('policy');
  const [by, setBy] = useChosenOf('by', groups, 'day');
  const [days, setDays] = useChosenOf('days', periods, '30');
  const since = useMemo(() => new Date(Date.now() - Number(days) * 86_400_000).toISOString(), [days]);
  const nameOf = ({ group, name, accountName }: UsageSum): string =>
    group === ''
      ? t('member:usage.noModel')
      : [name === null || name === '' ? group : name, accountName].filter((part) => part !== null).join(' · ');
  const sums = useGet<PageOf<UsageSum>>('/usage/report', { by, since });
  return (
    <Page
      title={t('usage.title')}
      lead={t('usage.lead')}
      actions={
        <Button
          component="a"
          href={`/management/v1${withQuery('/usage/export', { by, since })}`}
          variant="default"
          leftSection={<IconDownload size={18} />}
        >
          {t('usage.csvSums')}
        </Button>
      }
    >
      <Group>
        <SegmentedControl
          value={days}
          onChange={setDays}
          data={periods.map((value) => ({ value, label: t(`usage.period.${value}`) }))}
        />
        <SegmentedControl
          value={by}
          onChange={setBy}
          data={groups.map((value) => ({ value, label: t(`usage.by.${value}`) }))}
        />
      </Group>
      {sums.error && <Trouble problem={sums.error} retry={() => void sums.refetch()} />}
      {sums.data && sums.data.items.length > 0 && (
        <Paper withBorder p="md">
          <Title order={2} size="h4" mb="sm">
            {t('usage.chart')}
          </Title>
          <Suspense fallback={<Skeleton height={220} />}>
            <div aria-hidden="true">
              <Bars
                rows={by === 'day' ? sums.data.items : sums.data.items.slice(0, 20)}
                prompt={t('member:usage.prompt')}
                completion={t('member:usage.completion')}
                name={(row) => (by === 'day' ? row.group.slice(5) : nameOf(row))}
              />
            </div>
          </Suspense>
        </Paper>
      )}
      {sums.isPending && <Skeleton height={120} />}
      {sums.data?.items.length === 0 && <Empty icon={<IconChartBar size={28} />} text={t('usage.empty')} />}
      {sums.data && sums.data.items.length > 0 && (
        <Sums
          rows={(by === 'day' ? sums.data.items.toReversed() : sums.data.items).slice(0, 200)}
          group={t(`usage.group.${by}`)}
          caption={t(`usage.by.${by}`)}
          name={nameOf}
        />
      )}
      <Ledger />
    </Page>
  );
}

function Ledger(): ReactNode {
  const { t } = useTranslation('policy');
  const { moment, figure } = useWriting();
  const [account, setAccount] = useTyped('account');
  const [model, setModel] = useTyped('model');
  const [asked, setAsked] = useTyped('asked');
  const [outcome, setOutcome] = useChosen('outcome');
  const [query] = useDebouncedValue(
    { account: account.trim(), model: model.trim(), asked: asked.trim(), outcome },
    400,
  );
  const pages = usePages<UsageRow>('/usage', query);
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={2} size="h4">
          {t('usage.rows')}
        </Title>
        <Button
          component="a"
          href={`/management/v1${withQuery('/usage/rows.csv', query)}`}
          variant="default"
          size="xs"
          leftSection={<IconDownload size={16} />}
        >
          {t('usage.csvRows')}
        </Button>
      </Group>
      <Group grow preventGrowOverflow={false}>
        <TextInput
          label={t('usage.filterAccount')}
          value={account}
          onChange={(event) => setAccount(event.currentTarget.value)}
        />
        <TextInput
          label={t('usage.filterModel')}
          value={model}
          onChange={(event) => setModel(event.currentTarget.value)}
        />
        <TextInput
          label={t('usage.filterAsked')}
          value={asked}
          onChange={(event) => setAsked(event.currentTarget.value)}
        />
        <Select
          label={t('usage.filterOutcome')}
          placeholder={t('usage.any')}
          data={outcomes.map((value) => ({ value, label: t(`usage.outcomes.${value}`) }))}
          value={outcome === '' ? null : outcome}
          onChange={(value) => setOutcome(value ?? '')}
          clearable
        />
      </Group>
      <Rows
        pages={pages}
        label={t('usage.rows')}
        width={860}
        head={[
          t('usage.when'),
          t('usage.account'),
          t('usage.operation'),
          t('usage.model'),
          t('usage.outcome'),
          t('usage.tokens'),
          t('usage.duration'),
        ]}
        empty={<Text c="dimmed">{t('usage.rowsEmpty')}</Text>}
        row={(row) => (
          <Table.Tr key={row.id}>
            <Table.Td title={row.id}>{moment(row.at)}</Table.Td>
            <Table.Td>
              <AccountName id={row.accountId} name={row.accountName} />
              <Text size="xs" c="dimmed" title={row.keyId}>
                {row.keyName}
              </Text>
            </Table.Td>
            <Table.Td>{row.operation}</Table.Td>
            <Table.Td>
              {row.model}
              {row.askedModel !== null && (
                <Text size="xs" c="dimmed">
                  {t('usage.asked', { name: row.askedModel })}
                </Text>
              )}
              {row.fallbackFor !== null && row.fallbackFor !== row.askedModel && (
                <Text size="xs" c="dimmed">
                  {t('usage.fallback', { name: row.fallbackFor })}
                </Text>
              )}
            </Table.Td>
            <Table.Td>
              {t(`usage.outcomes.${row.outcome}`)} {row.code !== null && `(${row.code})`}
              {row.repeats > 1 && (
                <Text span size="sm" fw={600} title={t('usage.together')}>
                  {' '}
                  {t('usage.repeats', { figure: figure(row.repeats) })}
                </Text>
              )}
            </Table.Td>
            <Table.Td>
              {figure(row.promptTokens)} + {figure(row.completionTokens)}
              {row.cacheReadTokens + row.cacheWriteTokens > 0 && (
                <Text size="xs" c="dimmed">
                  {t('usage.cached', { read: figure(row.cacheReadTokens), write: figure(row.cacheWriteTokens) })}
                </Text>
              )}
              {row.unit !== null && (
                <Text size="xs">{t('usage.cost', { figure: figure(row.units), unit: row.unit })}</Text>
              )}
              {row.reasoningTokens > 0 && (
                <Text size="xs" c="dimmed">
                  {t('usage.reasoned', { figure: figure(row.reasoningTokens) })}
                </Text>
              )}
            </Table.Td>
            <Table.Td>{figure(Math.round(row.durationMs) / 1000)} s</Table.Td>
          </Table.Tr>
        )}
      />
    </Stack>
  );
}
