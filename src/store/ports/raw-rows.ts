// Reads and writes the rows of every table as they are, to move an installation from one database to another.

export type RawRow = Readonly<Record<string, string | number | null>>;

export interface RawTable {
  readonly name: string;
  readonly columns: readonly string[];
  /** The columns of its primary key, in their order. */
  readonly key: readonly string[];
}

/** The number of rows of a table, and one figure for each column: the sum of its numbers, or of the bytes of its texts. */
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
  sums(table: RawTable): Promise<TableSums>;
  /** Another text after a call was recorded, and after any change of who may do what. */
  figure(): Promise<string>;
  /**
   * In one step removes all rows of these tables, and remembers that they are filled from a database with this figure. Nothing else
   * uses this database until `end`.
   */
  begin(figure: string, tables: readonly RawTable[]): Promise<void>;
  /** The figure of a move that has begun and not ended. */
  begun(): Promise<string | undefined>;
  end(): Promise<void>;
  close(): Promise<void>;
}

/** The lease that marks an unfinished move. */
export const movingLease = 'move';
