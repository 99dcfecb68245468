// A table that becomes cards on narrow screens: each row is a card, and each cell shows the name of its column.
import { Table, type TableProps } from '@mantine/core';
import { type ReactNode, useLayoutEffect, useRef } from 'react';

export function CardTable(props: TableProps): ReactNode {
  const table = useRef<HTMLTableElement>(null);
  // Cells come from many components, so the labels are set on the rendered table.
  useLayoutEffect(() => {
    if (table.current) label(table.current);
  });
  return <Table ref={table} className="cards" {...props} />;
}

/** Browsers drop the roles of a table whose parts are displayed as blocks, so they are set explicitly. */
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
