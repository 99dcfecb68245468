// The filters of the request log. They are part of the address of the page, so they can be shared, survive Back, and apply to
// exports.
import { Button, Collapse, Group, SegmentedControl, Select, SimpleGrid, Stack, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'wouter';
import { useGet } from '../api.ts';
import type { Key, PageOf } from '../api-types.ts';
import { isoOf, localOf } from '../shell/when.ts';

const ranges = { hour: 3_600_000, day: 86_400_000, week: 604_800_000, month: 2_592_000_000 } as const;
type Range = keyof typeof ranges;
const rangeNames = ['hour', 'day', 'week', 'month', 'own'] as const;
const outcomes = ['completed', 'refused', 'upstream_error', 'failed', 'client_closed', 'ended', 'interrupted'] as const;
export const figures = ['tokens', 'queuedMs', 'firstTokenMs', 'durationMs', 'tokensPerSecond'] as const;
const texts = ['account', 'key', 'model', 'askedModel', 'server', 'status', 'code'] as const;

const capital = (name: string): string => `${name[0]?.toUpperCase() ?? ''}${name.slice(1)}`;
const boundNames = figures.flatMap((name) => [`min${capital(name)}`, `max${capital(name)}`]);

/** The query for the management API. */
export type RequestQuery = Readonly<Record<string, string>>;

export interface Filters {
  readonly params: URLSearchParams;
  readonly query: RequestQuery;
  /** Changes some filters and keeps the others; an empty value removes a filter. */
  readonly set: (changed: Readonly<Record<string, string>>) => void;
  readonly clear: () => void;
}

export function useFilters(): Filters {
  const [params, setParams] = useSearchParams();
  // The end of a relative range is fixed while the page is open, so that the pages of a list are consistent.
  const [openedAt] = useState(() => Date.now());
  const query: Record<string, string> = {};
  for (const name of [...texts, 'outcome', ...boundNames]) {
    const value = params.get(name)?.trim() ?? '';
    if (value !== '') query[name] = value;
  }
  const range = rangeOf(params);
  if (range !== 'own') query['since'] = new Date(openedAt - ranges[range]).toISOString();
  else
    for (const name of ['since', 'until']) {
      const time = new Date(params.get(name) ?? '');
      if (!Number.isNaN(time.getTime())) query[name] = time.toISOString();
    }
  return {
    params,
    query,
    set: (changed) =>
      setParams(
        (before) => {
          const after = new URLSearchParams(before);
          for (const [name, value] of Object.entries(changed))
            if (value === '') after.delete(name);
            else after.set(name, value);
          return after;
        },
        { replace: true },
      ),
    clear: () => setParams(new URLSearchParams()),
  };
}

const rangeOf = (params: URLSearchParams): Range | 'own' => {
  const asked = params.get('range');
  if (asked === null) return params.has('since') || params.has('until') ? 'own' : 'day';
  return rangeNames.find((name) => name === asked) ?? 'day';
};

export interface FilterFormProps {
  readonly filters: Filters;
  readonly own: boolean;
}

export function FilterForm({ filters, own }: FilterFormProps): ReactNode {
  const { t } = useTranslation('log');
  const { params, set, clear } = filters;
  const range = rangeOf(params);
  const isNarrow = [...boundNames, 'askedModel', 'status', 'code', 'server'].some((name) => params.has(name));
  const [more, setMore] = useState(isNarrow);
  const what = (name: (typeof figures)[number]): string => t(`requests.${name}`);
  return (
    <Stack gap="sm">
      <Group gap="sm" align="flex-end">
        <SegmentedControl
          aria-label={t('requests.range.label')}
          value={range}
          onChange={(value) =>
            set(
              value === 'own'
                ? { range: value, since: filters.query['since'] ?? '' }
                : { range: value, since: '', until: '' },
            )
          }
          data={rangeNames.map((value) => ({ value, label: t(`requests.range.${value}`) }))}
        />
        {range === 'own' &&
          (['since', 'until'] as const).map((name) => (
            <TextInput
              key={name}
              type="datetime-local"
              step={1}
              label={t(name === 'since' ? 'requests.from' : 'requests.until')}
              value={localOf(params.get(name), 'second')}
              onChange={({ currentTarget: { value } }) => set({ [name]: isoOf(value) ?? '' })}
            />
          ))}
      </Group>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} spacing="sm">
        {!own && (
          <Field name="account" filters={filters} label={t('requests.account')} hint={t('requests.accountHint')} />
        )}
        {own ? (
          <OwnKey filters={filters} />
        ) : (
          <Field name="key" filters={filters} label={t('requests.key')} hint={t('requests.keyHint')} />
        )}
        <Field name="model" filters={filters} label={t('requests.model')} />
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
          {!own && <Field name="server" filters={filters} label={t('requests.server')} />}
          <Field name="askedModel" filters={filters} label={t('request.asked')} />
          <Field name="status" filters={filters} label={t('requests.status')} number />
          <Field name="code" filters={filters} label={t('requests.code')} hint={t('requests.codeHint')} />
          {figures.flatMap((name) => [
            <Field
              key={`min${name}`}
              name={`min${capital(name)}`}
              filters={filters}
              label={t('requests.least', { what: what(name) })}
              number
            />,
            <Field
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

interface FieldProps {
  readonly name: string;
  readonly filters: Filters;
  readonly label: string;
  readonly hint?: string;
  readonly number?: boolean;
}

/** A text that is applied when typing pauses. */
function Field({ name, filters: { params, set }, label, hint = '', number = false }: FieldProps): ReactNode {
  const asked = params.get(name) ?? '';
  const [text, setText] = useState(asked);
  const [seen, setSeen] = useState(asked);
  const ask = useDebouncedCallback((value: string) => {
    const wanted = number && !/^\d+(?:\.\d+)?$/.test(value) ? '' : value;
    setSeen(wanted);
    set({ [name]: wanted });
  }, 400);
  // Back and "Clear filters" change the address, but not this field.
  if (asked !== seen) {
    setSeen(asked);
    setText(asked);
  }
  return (
    <TextInput
      label={label}
      placeholder={hint}
      value={text}
      inputMode={number ? 'decimal' : 'text'}
      onChange={({ currentTarget: { value } }) => {
        setText(value);
        ask(value.trim());
      }}
    />
  );
}

/** One of the caller's own keys, by name. */
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
