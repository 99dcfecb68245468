// What the request log is narrowed down by.
import { Button, Collapse, Group, Select, SimpleGrid, Stack } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { errorCodes } from '../../../src/domain/error.ts';
import { useGet } from '../api.ts';
import type { Key, PageOf } from '../api-types.ts';
import { codeIn } from '../refusals.ts';
import { ChoiceField, FilterField, type Filters, RangeField, useFilters } from '../shell/filters.tsx';
import { AccountPicker, KeyPicker } from '../shell/picker.tsx';
import { useKnownServers } from '../shell/server-name.tsx';
import type { Language } from '../words.ts';

const outcomes = ['completed', 'refused', 'upstream_error', 'failed', 'client_closed', 'ended', 'interrupted'] as const;
export const figures = ['tokens', 'queuedMs', 'firstTokenMs', 'durationMs', 'tokensPerSecond'] as const;
const texts = ['account', 'key', 'model', 'askedModel', 'server', 'status', 'code'] as const;

const capital = (name: string): string => `${name[0]?.toUpperCase() ?? ''}${name.slice(1)}`;
const boundNames = figures.flatMap((name) => [`min${capital(name)}`, `max${capital(name)}`]);

export const useRequestFilters = (): Filters => useFilters([...texts, 'outcome', ...boundNames], 'day');

export interface FilterFormProps {
  readonly filters: Filters;
  readonly own: boolean;
}

export function FilterForm({ filters, own }: FilterFormProps): ReactNode {
  const { t } = useTranslation('log');
  const { params, set, clear } = filters;
  const isNarrow = [...boundNames, 'askedModel', 'status', 'code', 'server'].some((name) => params.has(name));
  const [more, setMore] = useState(isNarrow);
  const what = (name: (typeof figures)[number]): string => t(`requests.${name}`);
  return (
    <Stack gap="sm">
      <RangeField filters={filters} />
      <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} spacing="sm">
        {!own && (
          <AccountPicker
            label={t('requests.account')}
            value={params.get('account') ?? ''}
            onChange={(account) => set({ account })}
            parts
          />
        )}
        {own ? (
          <OwnKey filters={filters} />
        ) : (
          <KeyPicker label={t('requests.key')} value={params.get('key') ?? ''} onChange={(key) => set({ key })} parts />
        )}
        <FilterField name="model" filters={filters} label={t('requests.model')} model />
        <Select
          label={t('requests.outcome')}
          placeholder={t('requests.any')}
          data={outcomes.map((value) => ({ value, label: t(`requests.outcomes.${value}`) }))}
          value={params.get('outcome')}
          onChange={(value) => set({ outcome: value ?? '' })}
          clearable
        />
      </SimpleGrid>
      <Collapse expanded={more}>
        <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} spacing="sm">
          {!own && <OneServer filters={filters} />}
          <FilterField name="askedModel" filters={filters} label={t('request.asked')} model />
          <FilterField name="status" filters={filters} label={t('requests.status')} number />
          <OneCode filters={filters} />
          {figures.flatMap((name) => [
            <FilterField
              key={`min${name}`}
              name={`min${capital(name)}`}
              filters={filters}
              label={t('requests.least', { what: what(name) })}
              number
            />,
            <FilterField
              key={`max${name}`}
              name={`max${capital(name)}`}
              filters={filters}
              label={t('requests.most', { what: what(name) })}
              number
            />,
          ])}
        </SimpleGrid>
      </Collapse>
      <Group gap="xs">
        <Button variant="subtle" size="xs" onClick={() => setMore(!more)} aria-expanded={more}>
          {t(more ? 'requests.fewer' : 'requests.more')}
        </Button>
        {params.size > 0 && (
          <Button variant="subtle" size="xs" color="gray" onClick={clear}>
            {t('requests.clear')}
          </Button>
        )}
      </Group>
    </Stack>
  );
}

/** One of one's own keys, by name. */
function OwnKey({ filters: { params, set } }: Pick<FilterFormProps, 'filters'>): ReactNode {
  const { t } = useTranslation('log');
  const keys = useGet<PageOf<Key>>('/me/keys', { limit: 200 });
  return (
    <Select
      label={t('requests.key')}
      placeholder={t('requests.any')}
      data={(keys.data?.items ?? []).map(({ id, name }) => ({ value: id, label: name === '' ? id : name }))}
      value={params.get('key')}
      onChange={(value) => set({ key: value ?? '' })}
      clearable
      searchable
    />
  );
}

/** A model server by its name; a call keeps the address of one that was removed. */
function OneServer({ filters }: Pick<FilterFormProps, 'filters'>): ReactNode {
  const { t } = useTranslation('log');
  const choices = [...useKnownServers()].map(([value, name]) => ({ value, label: name, about: value }));
  return (
    <ChoiceField
      name="server"
      filters={filters}
      label={t('requests.server')}
      hint={t('requests.any')}
      choices={choices}
    />
  );
}

/** An error code, found by its code or by what it means. */
function OneCode({ filters }: Pick<FilterFormProps, 'filters'>): ReactNode {
  const { t, i18n } = useTranslation('log');
  const language = i18n.language as Language;
  const choices = errorCodes.map((code) => ({ value: code, label: code, about: codeIn(code, language) ?? '' }));
  return (
    <ChoiceField
      name="code"
      filters={filters}
      label={t('requests.code')}
      hint={t('requests.codeHint')}
      choices={choices}
    />
  );
}
