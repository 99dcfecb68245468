// A table that comes in pages and becomes cards on a phone: head, rows, and the next page. Sorted, it has all of them first.
import { ScrollArea, Skeleton, Stack, Table } from '@mantine/core';
import { type ReactNode, useEffect } from 'react';
import type { Pages } from '../api.ts';
import { CardTable } from './card-table.tsx';
import { More } from './more.tsx';
import { type Column, useSorting } from './sorting.tsx';
import { Trouble } from './trouble.tsx';

export interface RowsProps<T> {
  readonly pages: Pages<T>;
  /** What it lists, for whoever cannot see it. */
  readonly label: string;
  /** A name, or with what the column sorts by. */
  readonly head: readonly (string | Column<T>)[];
  readonly row: (item: T) => ReactNode;
  readonly empty: ReactNode;
  readonly width?: number;
}

/** As many pages are read for sorting; beyond them it sorts what is there. */
const mostPages = 40;

export function Rows<T>({ pages, label, head, row, empty, width = 640 }: RowsProps<T>): ReactNode {
  const { rows, query } = pages;
  const {
    isSorted,
    sort,
    head: heads,
  } = useSorting(head.map((each) => (typeof each === 'string' ? { name: each } : each)));
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const needsMore = isSorted && hasNextPage && !isFetchingNextPage && rows.length < mostPages * 50;
  useEffect(() => {
    if (needsMore) void fetchNextPage();
  }, [needsMore, fetchNextPage]);
  // What was read stays readable while the gate is away.
  if (query.error && query.data === undefined)
    return <Trouble problem={query.error} retry={() => void query.refetch()} />;
  if (query.isPending) return <Skeleton height={160} />;
  if (rows.length === 0 && !query.hasNextPage) return empty;
  return (
    <Stack>
      <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': label }}>
        <CardTable miw={width} verticalSpacing="xs" highlightOnHover>
          <Table.Thead>
            <Table.Tr>{heads}</Table.Tr>
          </Table.Thead>
          <Table.Tbody>{sort(rows).map(row)}</Table.Tbody>
        </CardTable>
      </ScrollArea>
      <More query={query} />
    </Stack>
  );
}
