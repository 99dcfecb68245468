// Reads and writes the rows of every table as they are, to move an installation from one database to another.

export type RawRow = Readonly<Record<string, string | number | null>>;

export interface RawTable {
  readonly name: string;
  readonly columns: readonly string[];
  /** The columns of its primary key, in their order. */
  readonly key: readonly string[];
}

/** The number of rows of a table, and one figure for each column: the sum of its numbers, or of the lengths of its texts. */
export type TableSums = Readonly<Record<string, number>>;

export interface RawRows {
  /** Whose tables both databases have; a table comes after those that it refers to. Only SQLite is asked. */
  tables(): Promise<readonly RawTable[]>;
  /** Rows after a key, in the order of keys; from the first one if there is none. */
  rows(table: RawTable, after: RawRow | undefined, limit: number): Promise<readonly RawRow[]>;
  /** The row with the last key. */
  last(table: RawTable): Promise<RawRow | undefined>;
  /** Adds rows; those whose key is there stay as they are. */
  add(table: RawTable, rows: readonly RawRow[]): Promise<void>;
  /** Removes all rows of tables. */
  clear(tables: readonly string[]): Promise<void>;
  sums(table: RawTable): Promise<TableSums>;
  /** Remembers that a move into this database has begun, or forgets it; a gate does not start meanwhile. */
  mark(isMoving: boolean): Promise<void>;
  isMarked(): Promise<boolean>;
  close(): Promise<void>;
}

/** The lease that marks an unfinished move. */
export const movingLease = 'move';
