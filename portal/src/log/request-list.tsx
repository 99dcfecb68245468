// The request log: filters, rows that lead to what happened to each, and exports of exactly what is shown.
import { Anchor, Badge, Stack, Table, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { usePages } from '../api.ts';
import type { RequestRow } from '../api-types.ts';
import { IconListSearch } from '../icons.ts';
import { useSession } from '../session.tsx';
import { Empty } from '../shell/empty.tsx';
import { useEnough } from '../shell/enough.ts';
import { Exports } from '../shell/exports.tsx';
import { AccountName } from '../shell/named.tsx';
import { Page } from '../shell/page.tsx';
import { Rows } from '../shell/rows.tsx';
import { useServerNames } from '../shell/server-name.tsx';
import { useWriting } from '../shell/when.ts';
import { FilterForm, useRequestFilters } from './filters.tsx';
import { useTimes } from './times.ts';

export function RequestList({ own }: { readonly own: boolean }): ReactNode {
  const { t } = useTranslation('log');
  const filters = useRequestFilters();
  const path = own ? '/me/requests' : '/requests';
  const pages = usePages<RequestRow>(path, filters.query);
  const { rows, query } = pages;
  useEnough(pages);
  // A download carries no header that would name the view.
  const { view } = useSession().session;
  return (
    <Page
      title={t('requests.title')}
      lead={t(own ? 'requests.ownLead' : 'requests.lead')}
      actions={
        view ? undefined : (
          <Exports
            path={path}
            query={filters.query}
            csv={t('requests.exportCsv')}
            jsonLines={t('requests.exportJson')}
          />
        )
      }
    >
      <FilterForm filters={filters} own={own} />
      <Rows
        pages={pages}
        label={t('requests.list')}
        width={own ? 880 : 1040}
        head={[
          t('requests.time'),
          own ? t('requests.key') : t('requests.account'),
          t('requests.model'),
          t('requests.outcome'),
          ...(['tokens', 'queued', 'firstToken', 'duration', 'speed'] as const).map((figure) => ({
            name: t(`requests.${figure}`),
            right: true,
          })),
        ]}
        empty={<Empty icon={<IconListSearch size={28} />} text={t('requests.empty')} />}
        row={(row) => <OneRow key={row.id} row={row} own={own} />}
      />
      {rows.length === 0 && query.hasNextPage && <Text c="dimmed">{t('requests.searched')}</Text>}
    </Page>
  );
}

const colours = { completed: 'teal', refused: 'yellow', client_closed: 'gray' } as const;

export function Outcome({ row }: { readonly row: Pick<RequestRow, 'outcome' | 'status' | 'code'> }): ReactNode {
  const { t } = useTranslation('log');
  const colour = (colours as Readonly<Record<string, string>>)[row.outcome] ?? 'red';
  return (
    <Stack gap={2} align="flex-start">
      <Badge variant="light" color={colour} tt="none" maw="none">
        {t(`requests.outcomes.${row.outcome}`)}
      </Badge>
      <Text size="xs" c="dimmed" style={{ whiteSpace: 'nowrap' }}>
        {[row.status === 0 ? '' : String(row.status), row.code ?? ''].filter((part) => part !== '').join(' · ')}
      </Text>
    </Stack>
  );
}

function OneRow({ row, own }: { readonly row: RequestRow; readonly own: boolean }): ReactNode {
  const { t } = useTranslation('log');
  const { exact, figure, labeled } = useWriting();
  const { length } = useTimes();
  const nameOf = useServerNames();
  const small = (text: string, title?: string): ReactNode => (
    <Text size="xs" c="dimmed" title={title ?? text} style={{ overflowWrap: 'anywhere' }}>
      {text}
    </Text>
  );
  return (
    <Table.Tr>
      <Table.Td>
        <Anchor component={Link} href={`${own ? '/requests' : '/operate/requests'}/${row.id}`} size="sm" title={row.id}>
          {exact(row.at)}
        </Anchor>
      </Table.Td>
      <Table.Td>
        {own ? (
          <Text size="sm" title={row.keyId} style={{ overflowWrap: 'anywhere' }}>
            {row.keyName}
          </Text>
        ) : (
          <>
            <AccountName id={row.accountId} name={row.accountName} />
            {small(row.keyName, row.keyId)}
          </>
        )}
      </Table.Td>
      <Table.Td>
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          {row.model ?? row.operation}
        </Text>
        {row.askedModel !== null && small(labeled(t('request.asked'), row.askedModel))}
        {row.server !== null && small(nameOf(row.server), row.server)}
      </Table.Td>
      <Table.Td>
        <Outcome row={row} />
        {row.repeats > 1 && (
          <Text size="sm" fw={600} title={t('requests.together')}>
            {t('requests.repeats', { figure: figure(row.repeats) })}
          </Text>
        )}
      </Table.Td>
      <Table.Td ta="right">
        {figure(row.promptTokens)} + {figure(row.completionTokens)}
        {row.unit !== null && small(`${figure(row.units)} ${row.unit}`)}
      </Table.Td>
      <Table.Td ta="right">{length(row.queuedMs)}</Table.Td>
      <Table.Td ta="right">{length(row.firstTokenMs)}</Table.Td>
      <Table.Td ta="right">{length(row.durationMs)}</Table.Td>
      <Table.Td ta="right">{row.tokensPerSecond === null ? '' : figure(row.tokensPerSecond)}</Table.Td>
    </Table.Tr>
  );
}
