// Sorts tables by a column when its header is pressed: ascending, descending, and original order. The choice is part of the
// address.
import { Table, UnstyledButton } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { IconArrowDown, IconArrowsSort, IconArrowUp } from '../icons.ts';
import { useChosen } from './address.ts';

export type Sortable = string | number | null;

export interface Column<T> {
  readonly name: string;
  /** The sort key of the column; undefined: not sortable. */
  readonly by?: (item: T) => Sortable;
  readonly right?: boolean;
  readonly wide?: number;
}

export interface Sorting<T> {
  readonly isSorted: boolean;
  readonly sort: (rows: readonly T[]) => readonly T[];
  readonly head: ReactNode;
}

/** `name`: of the parameter, where a page has several tables. */
export function useSorting<T>(columns: readonly Column<T>[], name = 'sort'): Sorting<T> {
  const { t, i18n } = useTranslation('shell');
  const [chosen, choose] = useChosen(name);
  const isDown = chosen.startsWith('-');
  const at = chosen === '' ? -1 : Number(chosen.replace('-', ''));
  const by = columns[at]?.by;
  const { compare } = new Intl.Collator(i18n.language, { numeric: true });
  const sort = (rows: readonly T[]): readonly T[] => {
    if (!by) return rows;
    const sorted = rows.toSorted((a, b) => compareValues(by(a), by(b), compare));
    return isDown ? sorted.toReversed() : sorted;
  };
  const next = (i: number): string => (i !== at ? String(i) : isDown ? '' : `-${i}`);
  const head = columns.map((column, i) => {
    const { name: label, right = false, wide } = column;
    const isHere = i === at && by !== undefined;
    const Icon = isHere ? (isDown ? IconArrowDown : IconArrowUp) : IconArrowsSort;
    return (
      <Table.Th
        key={label}
        {...(right ? { ta: 'right' as const } : {})}
        {...(wide === undefined ? {} : { miw: wide })}
        {...(column.by ? { 'aria-sort': isHere ? (isDown ? 'descending' : 'ascending') : 'none' } : {})}
        style={{ wordBreak: 'keep-all' }}
      >
        {column.by ? (
          <UnstyledButton fz="inherit" fw="inherit" onClick={() => choose(next(i))} title={t('sort')}>
            {label} <Icon size={13} style={{ verticalAlign: '-2px', opacity: isHere ? 1 : 0.45 }} aria-hidden />
          </UnstyledButton>
        ) : (
          label
        )}
      </Table.Th>
    );
  });
  return { isSorted: by !== undefined, sort, head };
}

/** Missing values come last. */
function compareValues(a: Sortable, b: Sortable, compare: (a: string, b: string) => number): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return typeof a === 'number' && typeof b === 'number' ? a - b : compare(String(a), String(b));
}
