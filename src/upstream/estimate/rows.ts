// Figures of many servers in one array, a row each. A decision over hundreds of servers reads memory from one end to the other;
// with an object for each it would spend most of its time waiting for memory.

const firstRows = 16;

export class Rows {
  readonly width: number;
  /** Replaced when it grows, so read it again for each decision. */
  figures: Float64Array;
  readonly #free: number[] = [];
  #end = 0;

  /** `width`: figures of a row. Eight of them fill a line of a processor's cache. */
  constructor(width: number) {
    this.width = width;
    this.figures = new Float64Array(firstRows * width);
  }

  /** Where a new row begins; all its figures are 0. */
  take(): number {
    const at = this.#free.pop();
    if (at !== undefined) {
      this.figures.fill(0, at, at + this.width);
      return at;
    }
    const end = this.#end;
    if (end === this.figures.length) {
      const grown = new Float64Array(2 * end);
      grown.set(this.figures);
      this.figures = grown;
    }
    this.#end += this.width;
    return end;
  }

  giveBack(at: number): void {
    this.#free.push(at);
  }
}

/** What keeps its figures in a row. */
export class Row {
  #rows: Rows;
  /** Where its row begins. */
  at: number;

  constructor(rows: Rows) {
    this.#rows = rows;
    this.at = rows.take();
  }

  /** Leaves the row to others. Calls that still run go on with figures of their own. */
  leave(): void {
    const { at } = this;
    const rows = this.#rows;
    const own = new Rows(rows.width);
    this.at = own.take();
    own.figures.set(rows.figures.subarray(at, at + rows.width), this.at);
    this.#rows = own;
    rows.giveBack(at);
  }

  /** Of all rows; its own begin at `at`. Replaced when the table grows. */
  get figures(): Float64Array {
    return this.#rows.figures;
  }

  protected get(column: number): number {
    return this.#rows.figures[this.at + column] as number;
  }

  protected set(column: number, figure: number): void {
    this.#rows.figures[this.at + column] = figure;
  }
}
