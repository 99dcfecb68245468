// The usage of all accounts: sums by day, account, model and key, the rows of the ledger with filters, and both as CSV.
import { Button, Group, Select, Stack, Table, Text, TextInput, Title } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { usePages, withQuery } from '../api.ts';
import type { UsageRow } from '../api-types.ts';
import { IconDownload } from '../icons.ts';
import { useChosen, useTyped } from '../shell/address.ts';
import { AccountName } from '../shell/named.tsx';
import { Page } from '../shell/page.tsx';
import { Rows } from '../shell/rows.tsx';
import { UsageSums, useUsageChoice } from '../shell/usage-sums.tsx';
import { useWriting } from '../shell/when.ts';

const outcomes = ['completed', 'refused', 'upstream_error', 'failed', 'client_closed', 'ended', 'interrupted'] as const;

export default function Usage(): ReactNode {
  const { t } = useTranslation('policy');
  const choice = useUsageChoice();
  return (
    <Page
      title={t('usage.title')}
      lead={t('usage.lead')}
      actions={
        <Button
          component="a"
          href={`/management/v1${withQuery('/usage/export', choice.query)}`}
          variant="default"
          leftSection={<IconDownload size={18} />}
        >
          {t('usage.csvSums')}
        </Button>
      }
    >
      <UsageSums
        path="/usage/report"
        choice={choice}
        groups={['time', 'account', 'model', 'key']}
        empty={t('usage.empty')}
      />
      <Ledger />
    </Page>
  );
}

function Ledger(): ReactNode {
  const { t } = useTranslation('policy');
  const { exact, figure } = useWriting();
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
            <Table.Td title={row.id}>{exact(row.at)}</Table.Td>
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
