// Sums of usage as a table, which becomes cards on a phone.
import { ScrollArea, Table } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { UsageSum } from '../api-types.ts';
import { CardTable } from './card-table.tsx';
import { useSorting } from './sorting.tsx';
import { useWriting } from './when.ts';

export interface SumsProps {
  readonly rows: readonly UsageSum[];
  /** Head of the first column. */
  readonly group: string;
  readonly caption: string;
  readonly name?: (row: UsageSum) => ReactNode;
}

export function Sums({ rows, group, caption, name }: SumsProps): ReactNode {
  const { t } = useTranslation('member');
  const { figure, list } = useWriting();
  // Few model servers have a prompt cache; without one, its columns would only take space on a phone.
  const cached = rows.some(({ cacheReadTokens, cacheWriteTokens }) => cacheReadTokens + cacheWriteTokens > 0);
  const reasoned = rows.some(({ reasoningTokens }) => reasoningTokens > 0);
  const costly = rows.some(({ units }) => units !== undefined);
  const columns = [
    ['requests', 'requests'],
    ['refused', 'refused'],
    ['prompt', 'promptTokens'],
    ...(cached
      ? ([
          ['cacheRead', 'cacheReadTokens'],
          ['cacheWrite', 'cacheWriteTokens'],
        ] as const)
      : []),
    ['completion', 'completionTokens'],
    ...(reasoned ? ([['reasoning', 'reasoningTokens']] as const) : []),
  ] as const;
  const { sort, head } = useSorting<UsageSum>([
    { name: group, wide: 110, by: (row) => row.name ?? row.group },
    ...columns.map(([column, field]) => ({
      name: t(`usage.${column}`),
      right: true,
      by: (row: UsageSum) => row[field],
    })),
    ...(costly ? [{ name: t('usage.cost'), right: true }] : []),
  ]);
  return (
    <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': caption }}>
      <CardTable striped miw={520 + (cached ? 240 : 0) + (reasoned ? 120 : 0) + (costly ? 140 : 0)}>
        <Table.Thead>
          <Table.Tr>{head}</Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {sort(rows).map((row) => (
            <Table.Tr key={row.group}>
              <Table.Td>{name ? name(row) : (row.name ?? row.group)}</Table.Td>
              {columns.map(([column, field]) => (
                <Table.Td key={column} ta="right">
                  {figure(row[field])}
                </Table.Td>
              ))}
              {costly && (
                <Table.Td ta="right">
                  {list(Object.entries(row.units ?? {}).map(([unit, amount]) => `${figure(amount)} ${unit}`))}
                </Table.Td>
              )}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </CardTable>
    </ScrollArea>
  );
}
