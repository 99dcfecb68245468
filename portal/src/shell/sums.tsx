// Sums of usage as a table that fits a phone: it scrolls in itself.
import { ScrollArea, Table } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { UsageSum } from '../shapes.ts';
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
  const { figure } = useWriting();
  return (
    <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': caption }}>
      <Table striped miw={520}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{group}</Table.Th>
            {(['requests', 'refused', 'prompt', 'completion'] as const).map((column) => (
              <Table.Th key={column} ta="right">
                {t(`usage.${column}`)}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.group}>
              <Table.Td>{name ? name(row) : (row.name ?? row.group)}</Table.Td>
              {[row.requests, row.refused, row.promptTokens, row.completionTokens].map((value, i) => (
                // oxlint-disable-next-line react/no-array-index-key -- columns stay where they are
                <Table.Td key={i} ta="right">
                  {figure(value)}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </ScrollArea>
  );
}
