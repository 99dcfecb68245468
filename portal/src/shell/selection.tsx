// Rows of a list that are chosen for an action on all of them. Only rows that are shown count: a row that a search has taken away is
// not acted on unseen.
import { Button, Checkbox, Group, Paper, Text } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

/** As the management API takes at once. */
const most = 100;

export interface Selectable {
  readonly id: string;
  readonly name: string;
}

export interface Selection<T extends Selectable> {
  readonly chosen: readonly T[];
  readonly has: (id: string) => boolean;
  readonly toggle: (id: string) => void;
  readonly set: (ids: readonly string[]) => void;
}

/** `rows`: that can be chosen. */
export function useSelection<T extends Selectable>(rows: readonly T[]): Selection<T> {
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  const chosen = rows.filter(({ id }) => ids.has(id));
  return {
    chosen,
    has: (id) => ids.has(id),
    toggle: (id) =>
      setIds((before) => {
        const after = new Set(before);
        if (!after.delete(id)) after.add(id);
        return after;
      }),
    set: (next) => setIds(new Set(next)),
  };
}

export interface SelectRowProps<T extends Selectable> {
  readonly selection: Selection<T>;
  readonly row: T;
  /** Stands beside the box. */
  readonly children: ReactNode;
}

/** The first cell of a row: a box that chooses the row, and its name. */
export function SelectRow<T extends Selectable>({ selection, row, children }: SelectRowProps<T>): ReactNode {
  const { t } = useTranslation('lists');
  const { id, name } = row;
  return (
    <Group gap="xs" wrap="nowrap" align="flex-start">
      <Checkbox
        size="xs"
        mt={4}
        checked={selection.has(id)}
        onChange={() => selection.toggle(id)}
        aria-label={t('bulk.select', { name: name === '' ? id : name })}
      />
      <div style={{ minWidth: 0 }}>{children}</div>
    </Group>
  );
}

export interface SelectionBarProps<T extends Selectable> {
  readonly selection: Selection<T>;
  /** Rows that can be chosen. */
  readonly rows: readonly T[];
  /** Buttons that act on what is chosen. */
  readonly children: ReactNode;
}

/** How many are chosen, all of them at once, and what can be done with them. */
export function SelectionBar<T extends Selectable>({ selection, rows, children }: SelectionBarProps<T>): ReactNode {
  const { t } = useTranslation('lists');
  const { chosen, set } = selection;
  if (rows.length === 0) return null;
  const isAll = chosen.length === rows.length;
  return (
    <Paper withBorder px="sm" py="xs">
      <Group gap="sm">
        <Checkbox
          size="xs"
          label={t('bulk.all', { count: rows.length })}
          checked={isAll}
          indeterminate={chosen.length > 0 && !isAll}
          onChange={() => set(isAll ? [] : rows.map(({ id }) => id))}
        />
        <Text size="sm" role="status">
          {chosen.length > most ? t('bulk.tooMany', { count: most }) : t('bulk.chosen', { count: chosen.length })}
        </Text>
        {chosen.length > 0 && chosen.length <= most && children}
        {chosen.length > 0 && (
          <Button size="compact-xs" variant="subtle" color="gray" onClick={() => set([])}>
            {t('bulk.clear')}
          </Button>
        )}
      </Group>
    </Paper>
  );
}

/** The names of what an action is about to change. */
export function Names({ of }: { readonly of: readonly Selectable[] }): ReactNode {
  return (
    <ul
      style={{ maxHeight: '14rem', overflowY: 'auto', margin: '0.5rem 0', paddingInlineStart: '1.25rem' }}
      tabIndex={-1}
    >
      {of.map(({ id, name }) => (
        <li key={id} title={id} style={{ overflowWrap: 'anywhere' }}>
          {name === '' ? id : name}
        </li>
      ))}
    </ul>
  );
}
