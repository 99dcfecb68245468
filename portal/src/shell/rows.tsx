// A paged table that becomes cards on a phone. To sort, it first fetches all pages.
import { ScrollArea, Skeleton, Stack, Table } from '@mantine/core';
import { type ReactNode, useEffect } from 'react';
import type { Pages } from '../api.ts';
import { CardTable } from './card-table.tsx';
import { More } from './more.tsx';
import { type Column, useSorting } from './sorting.tsx';
import { Trouble } from './trouble.tsx';

export interface RowsProps<T> {
  readonly pages: Pages<T>;
  /** The label for assistive technology. */
  readonly label: string;
  /** A name, or a column with its sort key. */
  readonly head: readonly (string | Column<T>)[];
  readonly row: (item: T) => ReactNode;
  readonly empty: ReactNode;
  readonly width?: number;
}

/** In dark colors less bright than usual, so that links on it stay readable (WCAG 2.2, 1.4.3). */
const hovered = 'light-dark(var(--mantine-color-gray-1), #2a2a2a)';

/** The most pages that are fetched for sorting; beyond that, only fetched rows are sorted. */
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
  // Fetched data stays readable while the gateway is unreachable.
  if (query.error && query.data === undefined)
    return <Trouble problem={query.error} retry={() => void query.refetch()} />;
  if (query.isPending) return <Skeleton height={160} />;
  if (rows.length === 0 && !query.hasNextPage) return empty;
  return (
    <Stack>
      <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': label }}>
        <CardTable miw={width} verticalSpacing="xs" highlightOnHover highlightOnHoverColor={hovered}>
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
