// A table that becomes cards where the screen is narrow: each row a card, each cell with the name of its column before it.
import { Table, type TableProps } from '@mantine/core';
import { type ReactNode, useLayoutEffect, useRef } from 'react';

export function CardTable(props: TableProps): ReactNode {
  const table = useRef<HTMLTableElement>(null);
  // Cells come from many components; what they share is the table that they end up in.
  useLayoutEffect(() => {
    if (table.current) label(table.current);
  });
  return <Table ref={table} className="cards" {...props} />;
}

/** A table whose parts are laid out as blocks loses its roles in browsers, so they are said. */
function label(table: HTMLTableElement): void {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.textContent ?? '');
  table.setAttribute('role', 'table');
  for (const part of [table.tHead, ...table.tBodies]) part?.setAttribute('role', 'rowgroup');
  for (const row of table.rows) {
    row.setAttribute('role', 'row');
    for (const [at, cell] of [...row.cells].entries()) {
      const isHead = row.parentElement === table.tHead;
      cell.setAttribute('role', isHead ? 'columnheader' : 'cell');
      if (!isHead) cell.dataset['label'] = heads[at] ?? '';
    }
  }
}
