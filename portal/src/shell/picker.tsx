// Fields that choose an account or a key by name, email address or id: the gate searches, so they work with any number of them. What is
// chosen is an id; what is shown is its name.
import { MultiSelect, Select, Text } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api } from '../api.ts';
import type { Found, PageOf } from '../api-types.ts';
import { useWriting } from './when.ts';

type Kind = Found['kind'];

interface Option {
  readonly value: string;
  readonly label: string;
}

interface Options {
  readonly data: readonly Option[];
  /** What tells an option from others of its name. */
  readonly about: (value: string) => string;
  /** The gate has found nothing for what was typed. */
  readonly isEmpty: boolean;
}

const find = (search: string, kind: Kind | undefined): Promise<PageOf<Found>> =>
  api.get('/find', { search, kind, limit: 20 });

/** Ids per request. */
const mostIds = 50;

const lookUp = (chosen: readonly string[]): Promise<PageOf<Found>> =>
  chosen.length === 1 ? find(chosen[0] ?? '', undefined) : api.get('/find', { ids: chosen.join(',') });

const inParts = (ids: readonly string[]): readonly (readonly string[])[] =>
  Array.from({ length: Math.ceil(ids.length / mostIds) }, (_, at) => ids.slice(at * mostIds, (at + 1) * mostIds));

/** What the gate finds for a text, with what is chosen already. */
function useOptions(typed: string, kind: Kind | undefined, chosen: readonly string[]): Options {
  const { t } = useTranslation('lists');
  const { dotted } = useWriting();
  // The field shows the name of what is chosen; that is not a search.
  const [search] = useDebouncedValue(typed.trim(), 200);
  const found = useQuery({
    queryKey: ['/find', search, kind],
    queryFn: () => find(search, kind),
    placeholderData: keepPreviousData,
  });
  const known = useQueries({
    queries: inParts(chosen).map((ids) => ({
      queryKey: ['/find', 'ids', ids],
      queryFn: () => lookUp(ids),
      staleTime: 60_000,
    })),
  });
  const looked = known.flatMap(({ data }) => data?.items ?? []);
  const things = new Map<string, Found>();
  for (const id of chosen) {
    const thing = looked.find((each) => each.id === id || each.name === id);
    if (thing) things.set(id, thing);
  }
  for (const thing of found.data?.items ?? []) if (!things.has(thing.id)) things.set(thing.id, thing);
  // What cannot be found keeps its place, as it was written.
  const unknown = chosen.filter((id) => !things.has(id)).map((id) => ({ value: id, label: id }));
  const nameOf = (thing: Found): string => (thing.name === '' ? thing.id : thing.name);
  return {
    isEmpty: search !== '' && found.data?.items.length === 0,
    data: [...unknown, ...[...things].map(([value, thing]) => ({ value, label: nameOf(thing) }))],
    about: (value) => {
      const thing = things.get(value);
      if (!thing) return '';
      const what = kind === undefined && thing.kind === 'key' ? t('picker.key') : '';
      return dotted([what, thing.of, thing.ended ? t('picker.ended') : '']);
    },
  };
}

interface LabelProps {
  readonly label: string;
  readonly description?: string;
  readonly placeholder?: string;
  readonly required?: boolean;
  readonly error?: string | undefined;
}

export interface PickerProps extends LabelProps {
  /** An id; empty: none. */
  readonly value: string;
  readonly onChange: (id: string) => void;
  readonly autoFocus?: boolean;
  /** Offers the typed text itself: everything that contains it is meant. For filters. */
  readonly parts?: boolean;
}

/** Undefined as a kind: an account or a key. */
function Picker({
  kind,
  value,
  onChange,
  autoFocus = false,
  required = false,
  placeholder,
  parts = false,
  ...rest
}: PickerProps & { readonly kind: Kind | undefined }): ReactNode {
  const { t } = useTranslation('lists');
  const [typed, setTyped] = useState('');
  const [searching, setSearching] = useState(false);
  const { data, about, isEmpty } = useOptions(searching ? typed : '', kind, value === '' ? [] : [value]);
  const text = typed.trim();
  const all = parts && searching && text !== '' && !data.some((option) => option.value === text);
  const isPart = (option: string): boolean => all && option === text;
  return (
    <Select
      {...rest}
      placeholder={placeholder ?? t('picker.hint')}
      data={all ? [...data, { value: text, label: text }] : [...data]}
      value={value === '' ? null : value}
      onChange={(id) => {
        setSearching(false);
        onChange(id ?? '');
      }}
      searchable
      searchValue={typed}
      onSearchChange={setTyped}
      onInput={() => setSearching(true)}
      // The gate has searched.
      filter={({ options }) => options}
      renderOption={({ option }) => (
        <Shown name={isPart(option.value) ? t('picker.parts', { text }) : option.label} about={about(option.value)} />
      )}
      {...(isEmpty ? { description: t('picker.none') } : {})}
      clearable={!required}
      clearButtonProps={{ 'aria-label': t('picker.clear', { what: rest.label }) }}
      required={required}
      data-autofocus={autoFocus ? true : undefined}
      maxDropdownHeight={260}
    />
  );
}

/** An option of a list: its name, and below it what it is. */
export function Shown({ name, about }: { readonly name: string; readonly about: string }): ReactNode {
  return (
    <div style={{ overflowWrap: 'anywhere' }}>
      <Text size="sm">{name}</Text>
      {about !== '' && (
        <Text size="xs" c="dimmed">
          {about}
        </Text>
      )}
    </div>
  );
}

export const AccountPicker = (props: PickerProps): ReactNode => <Picker {...props} kind="account" />;
export const KeyPicker = (props: PickerProps): ReactNode => <Picker {...props} kind="key" />;
/** An account or one of the keys. */
export const AccountOrKeyPicker = (props: PickerProps): ReactNode => <Picker {...props} kind={undefined} />;

export interface AccountsPickerProps extends LabelProps {
  readonly value: readonly string[];
  readonly onChange: (ids: readonly string[]) => void;
}

/** Several accounts. */
export function AccountsPicker({ value, onChange, placeholder, ...rest }: AccountsPickerProps): ReactNode {
  const { t } = useTranslation('lists');
  const [typed, setTyped] = useState('');
  const { data, about, isEmpty } = useOptions(typed, 'account', value);
  return (
    <MultiSelect
      {...rest}
      {...(value.length === 0 ? { placeholder: placeholder ?? t('picker.hint') } : {})}
      data={[...data]}
      value={[...value]}
      onChange={onChange}
      searchable
      searchValue={typed}
      onSearchChange={setTyped}
      filter={({ options }) => options}
      renderOption={({ option }) => <Shown name={option.label} about={about(option.value)} />}
      {...(isEmpty ? { description: t('picker.none') } : {})}
      clearable
      clearButtonProps={{ 'aria-label': t('picker.clear', { what: rest.label }) }}
      maxDropdownHeight={260}
    />
  );
}
