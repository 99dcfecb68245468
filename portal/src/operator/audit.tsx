// The audit log: every change, the newest first, narrowed down by who, what, when and words, and exported as it is shown.
import { Button, Group, Select, SimpleGrid, Skeleton, Stack, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet, usePages } from '../api.ts';
import type { AuditEvent } from '../api-types.ts';
import { IconFileText } from '../icons.ts';
import { Empty } from '../shell/empty.tsx';
import { useEnough } from '../shell/enough.ts';
import { Exports } from '../shell/exports.tsx';
import { FilterField, type Filters, RangeField, useFilters } from '../shell/filters.tsx';
import { More } from '../shell/more.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { Changes } from './changes.tsx';

export default function Audit(): ReactNode {
  const { t } = useTranslation('lists');
  const filters = useFilters(['search', 'actor', 'action', 'text'], 'all');
  const pages = usePages<AuditEvent>('/audit', filters.query);
  const { rows, query } = pages;
  useEnough(pages);
  const isSearching = rows.length === 0 && query.hasNextPage;
  return (
    <Page
      title={t('audit.title')}
      lead={t('audit.lead')}
      actions={
        <Exports path="/audit" query={filters.query} csv={t('audit.exportCsv')} jsonLines={t('audit.exportJson')} />
      }
    >
      <AuditFilters filters={filters} />
      {query.error && <Trouble problem={query.error} retry={() => void query.refetch()} />}
      {query.isPending && <Skeleton height={160} />}
      {query.data !== undefined && rows.length === 0 && !query.hasNextPage && (
        <Empty icon={<IconFileText size={28} />} text={t('audit.empty')} />
      )}
      <Stack gap="sm" role="list" aria-label={t('audit.list')}>
        {rows.map((event) => (
          <Changes key={event.id} event={event} />
        ))}
      </Stack>
      {isSearching && <Text c="dimmed">{t('audit.searched')}</Text>}
      <More query={query} />
    </Page>
  );
}

function AuditFilters({ filters }: { readonly filters: Filters }): ReactNode {
  const { t } = useTranslation('lists');
  const { params, set, clear } = filters;
  return (
    <Stack gap="sm">
      <RangeField filters={filters} />
      <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} spacing="sm">
        <FilterField name="search" filters={filters} label={t('audit.subject')} hint={t('audit.subjectHint')} />
        <FilterField name="actor" filters={filters} label={t('audit.actor')} hint={t('audit.actorHint')} />
        <ActionField value={params.get('action') ?? ''} onChange={(action) => set({ action })} />
        <FilterField name="text" filters={filters} label={t('audit.text')} hint={t('audit.textHint')} />
      </SimpleGrid>
      {params.size > 0 && (
        <Group>
          <Button variant="subtle" size="xs" color="gray" onClick={clear}>
            {t('log:requests.clear')}
          </Button>
        </Group>
      )}
    </Stack>
  );
}

interface ActionFieldProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** The actions that the log contains, by what they change; a whole kind or one of them. */
function ActionField({ value, onChange }: ActionFieldProps): ReactNode {
  const { t } = useTranslation('lists');
  const actions = useGet<{ readonly items: readonly string[] }>('/audit/actions').data?.items ?? [];
  const all = value === '' || actions.includes(value) ? actions : [...actions, value];
  const groups = Map.groupBy(all, (action) => action.split('.', 1)[0] ?? action);
  return (
    <Select
      label={t('audit.action')}
      placeholder={t('log:requests.any')}
      data={[...groups].map(([kind, items]) => ({
        group: kind,
        items: [
          ...(items.includes(kind) ? [] : [{ value: kind, label: t('audit.kind', { kind }) }]),
          ...items.map((action) => ({ value: action, label: action === kind ? t('audit.kind', { kind }) : action })),
        ],
      }))}
      value={value === '' ? null : value}
      onChange={(chosen) => onChange(chosen ?? '')}
      clearable
      searchable
    />
  );
}
