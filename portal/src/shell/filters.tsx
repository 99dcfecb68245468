// What a log is narrowed down by. All of it is in the address of the page, so that it can be sent to somebody, is still there after
// Back, and is what an export contains.
import { Group, Select, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'wouter';
import { ModelField } from './model-field.tsx';
import { MomentInput } from './moment-input.tsx';
import { Shown } from './picker.tsx';
import { Segments } from './segments.tsx';

const ranges = { hour: 3_600_000, day: 86_400_000, week: 604_800_000, month: 2_592_000_000 } as const;
const rangeNames = ['all', 'hour', 'day', 'week', 'month', 'own'] as const;
type Range = (typeof rangeNames)[number];

/** What the management API is asked for. */
export type FilterQuery = Readonly<Record<string, string>>;

export interface Filters {
  readonly params: URLSearchParams;
  readonly query: FilterQuery;
  readonly range: Range;
  /** What the range is if the address does not say. */
  readonly usualRange: Range;
  /** Changes some and keeps the others; empty takes one away. */
  readonly set: (changed: Readonly<Record<string, string>>) => void;
  readonly clear: () => void;
}

/** `names`: of the parameters that the management API takes, besides the time. */
export function useFilters(names: readonly string[], usualRange: Range): Filters {
  const [params, setParams] = useSearchParams();
  // The end of a range that moves along is fixed while the page is open, so that pages of one list fit together.
  const [openedAt] = useState(() => Date.now());
  const query: Record<string, string> = {};
  for (const name of names) {
    const value = params.get(name)?.trim() ?? '';
    if (value !== '') query[name] = value;
  }
  const range = rangeOf(params, usualRange);
  if (range !== 'own' && range !== 'all') query['since'] = new Date(openedAt - ranges[range]).toISOString();
  if (range === 'own')
    for (const name of ['since', 'until']) {
      const time = new Date(params.get(name) ?? '');
      if (!Number.isNaN(time.getTime())) query[name] = time.toISOString();
    }
  return {
    params,
    query,
    range,
    usualRange,
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

function rangeOf(params: URLSearchParams, usual: Range): Range {
  const asked = params.get('range');
  if (asked === null) return params.has('since') || params.has('until') ? 'own' : usual;
  return rangeNames.find((name) => name === asked) ?? usual;
}

interface OfFilters {
  readonly filters: Filters;
}

/** The range of time: the last hour to the last month, or from and until. */
export function RangeField({ filters: { params, query, range, usualRange, set } }: OfFilters): ReactNode {
  const { t } = useTranslation('log');
  return (
    <Group gap="sm" align="flex-end">
      <Segments
        label={t('requests.range.label')}
        value={range}
        onChange={(value) =>
          set(
            value === 'own'
              ? { range: value, since: query['since'] ?? '' }
              : { range: value === usualRange ? '' : value, since: '', until: '' },
          )
        }
        data={rangeNames
          .filter((value) => value !== 'all' || usualRange === 'all')
          .map((value) => ({ value, label: t(`requests.range.${value}`) }))}
      />
      {range === 'own' &&
        (['since', 'until'] as const).map((name) => (
          <MomentInput
            key={name}
            label={t(name === 'since' ? 'requests.from' : 'requests.until')}
            value={params.get(name)}
            onChange={(time) => set({ [name]: time ?? '' })}
            seconds
          />
        ))}
    </Group>
  );
}

interface FieldProps extends OfFilters {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly number?: boolean;
  /** Models of the servers are offered. */
  readonly model?: boolean;
}

/** A text that is asked for when the writing pauses. */
export function FilterField({
  name,
  filters: { params, set },
  label,
  hint = '',
  number = false,
  model = false,
}: FieldProps): ReactNode {
  const asked = params.get(name) ?? '';
  const [text, setText] = useState(asked);
  const [seen, setSeen] = useState(asked);
  const ask = useDebouncedCallback((value: string) => {
    const wanted = number && !/^\d+(?:\.\d+)?$/.test(value) ? '' : value;
    setSeen(wanted);
    set({ [name]: wanted });
  }, 400);
  // Back, and "clear", change the address and not this field.
  if (asked !== seen) {
    setSeen(asked);
    setText(asked);
  }
  const type = (value: string): void => {
    setText(value);
    ask(value.trim());
  };
  if (model) return <ModelField label={label} placeholder={hint} value={text} onChange={type} />;
  return (
    <TextInput
      label={label}
      placeholder={hint}
      value={text}
      inputMode={number ? 'decimal' : 'text'}
      onChange={({ currentTarget: { value } }) => type(value)}
    />
  );
}

export interface Choice {
  readonly value: string;
  readonly label: string;
  /** What it means, or what tells it from others of its name. */
  readonly about: string;
}

interface ChoiceProps extends OfFilters {
  readonly name: string;
  readonly label: string;
  readonly hint: string;
  readonly choices: readonly Choice[];
}

/** One of what is known, found by any part of it. Another value can be typed: logs are older than lists. */
export function ChoiceField({ name, filters: { params, set }, label, hint, choices }: ChoiceProps): ReactNode {
  const { t } = useTranslation('log');
  const [typed, setTyped] = useState('');
  const [searching, setSearching] = useState(false);
  const asked = params.get(name) ?? '';
  const text = typed.trim();
  const isKnown = (value: string): boolean => choices.some((choice) => choice.value === value);
  const kept = asked === '' || isKnown(asked) ? [] : [{ value: asked, label: asked, about: '' }];
  const own = searching && text !== '' && text !== asked && !isKnown(text);
  const data = [...choices, ...kept, ...(own ? [{ value: text, label: text, about: t('requests.typed') }] : [])];
  const part = searching ? text.toLowerCase() : '';
  const shown = data.filter((choice) => Object.values(choice).some((each) => each.toLowerCase().includes(part)));
  return (
    <Select
      label={label}
      placeholder={hint}
      data={data.map((choice) => ({ value: choice.value, label: choice.label }))}
      value={asked === '' ? null : asked}
      onChange={(value) => {
        setSearching(false);
        set({ [name]: value ?? '' });
      }}
      searchable
      searchValue={typed}
      onSearchChange={setTyped}
      onInput={() => setSearching(true)}
      onDropdownClose={() => setSearching(false)}
      filter={({ options }) =>
        options.filter((option) => 'value' in option && shown.some(({ value }) => value === option.value))
      }
      renderOption={({ option }) => (
        <Shown name={option.label} about={data.find(({ value }) => value === option.value)?.about ?? ''} />
      )}
      nothingFoundMessage={t('requests.noChoice')}
      clearable
      clearButtonProps={{ 'aria-label': t('lists:picker.clear', { what: label }) }}
      maxLength={300}
      maxDropdownHeight={260}
    />
  );
}
