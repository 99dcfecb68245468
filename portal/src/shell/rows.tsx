// A table that comes in pages and scrolls in itself on a phone: head, rows, and the next page.
import { ScrollArea, Skeleton, Stack, Table } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Pages } from '../api.ts';
import { More } from './more.tsx';
import { Trouble } from './trouble.tsx';

export interface RowsProps<T> {
  readonly pages: Pages<T>;
  /** What it lists, for whoever cannot see it. */
  readonly label: string;
  readonly head: readonly string[];
  readonly row: (item: T) => ReactNode;
  readonly empty: ReactNode;
  readonly width?: number;
}

export function Rows<T>({ pages, label, head, row, empty, width = 640 }: RowsProps<T>): ReactNode {
  const { rows, query } = pages;
  if (query.error) return <Trouble problem={query.error} retry={() => void query.refetch()} />;
  if (query.isPending) return <Skeleton height={160} />;
  if (rows.length === 0 && !query.hasNextPage) return empty;
  return (
    <Stack>
      <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': label }}>
        <Table miw={width} verticalSpacing="xs" highlightOnHover>
          <Table.Thead>
            <Table.Tr>
              {head.map((name) => (
                <Table.Th key={name}>{name}</Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>{rows.map(row)}</Table.Tbody>
        </Table>
      </ScrollArea>
      <More query={query} />
    </Stack>
  );
}
