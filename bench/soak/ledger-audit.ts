// Compares the gate's ledger with what both ends of every exchange saw: one row for each request of an identified caller;
// for completed answers, the model server's own figures to the token; for cut ones, a figure between what the caller
// received and what the model server had sent.
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Heard } from './connection.ts';
import type { Asked, Habit } from './mix.ts';

/** What the row of an exchange must contain. */
type Expected =
  | { readonly kind: 'exact'; readonly promptTokens: number; readonly completionTokens: number }
  /** The caller or the model server broke it off. */
  | { readonly kind: 'cut'; readonly asked: Asked; readonly seen: number }
  /** Refused, by the gate or by the model server: it costs nothing. */
  | { readonly kind: 'free' }
  /**
   * Its key was being revoked: there is a row if the caller had been identified before that, and a cost if it had been
   * forwarded.
   */
  | { readonly kind: 'perhaps'; readonly asked: Asked }
  | { readonly kind: 'none' };

export interface Row {
  readonly id: string;
  readonly at: number;
  readonly account: string;
  readonly lineage: string;
  readonly outcome: string;
  readonly upstream: string | null;
  readonly source: string;
  readonly prompt: number;
  readonly completion: number;
  readonly queuedMs: number;
}

export interface Sums {
  rows: number;
  exactPrompt: number;
  exactCompletion: number;
  /** What the model server counted for the same answers. */
  servedPrompt: number;
  servedCompletion: number;
  /** Of cut answers: read by callers, recorded, and sent by the model server. */
  cutSeen: number;
  cutBooked: number;
  cutSaid: number;
  leftInQueue: number;
  outcomes: Record<string, number>;
}

const free: Expected = { kind: 'free' };
const none: Expected = { kind: 'none' };
const maxFaults = 20;

export class LedgerAudit {
  readonly faults: string[] = [];
  readonly answers: Record<string, number> = {};
  readonly #expected = new Map<string, Expected>();
  /** Exchanges whose caller left before receiving an id: as many rows belong to no one else. */
  readonly #nameless: Asked[] = [];
  /** The ids in the ledger. */
  readonly #rows = new Set<string>();
  /** The minimum number of rows. */
  #due = 0;

  note(asked: Asked, heard: Heard, habit: Habit): void {
    const name = `${heard.status === 0 ? 'no head' : heard.status} ${heard.end}`;
    this.answers[name] = (this.answers[name] ?? 0) + 1;
    const { id, status, end } = heard;
    if (end === 'too late') this.fault(`Request ${asked.number} (it ${asked.fate}) had no end within a minute.`);
    if (id === undefined) {
      if (end === 'left') this.#nameless.push(asked);
      else this.fault(`Request ${asked.number} (it ${asked.fate}) was ${end} without an answer.`);
      this.#due++;
      return;
    }
    const expected = this.#expect(asked, heard, habit);
    if (this.#expected.has(id)) this.fault(`Two answers have the id ${id}.`);
    this.#expected.set(id, expected);
    if (expected.kind !== 'none' && expected.kind !== 'perhaps') this.#due++;
    if (status >= 500 && !explains(asked, status))
      this.fault(`Request ${asked.number} (it ${asked.fate}) was answered ${status}.`);
  }

  #expect(asked: Asked, { status, end, seen }: Heard, habit: Habit): Expected {
    if (status === 401) return habit === 'plain' || habit === 'holding' ? { kind: 'perhaps', asked } : none;
    if (status === 200 && end === 'whole') return { kind: 'exact', ...asked.own };
    if (status === 200 || status === 502) return { kind: 'cut', asked, seen };
    return free;
  }

  fault(sentence: string): void {
    if (this.faults.length < maxFaults) this.faults.push(sentence);
    else if (this.faults.length === maxFaults) this.faults.push('There are more of these.');
  }

  /** Are all required rows there? */
  isComplete(dataDir: string): boolean {
    return read(dataDir, (database) => {
      const { rows } = database.prepare('select count(*) as rows from usage').get() as { rows: number };
      return rows >= this.#due;
    });
  }

  /** Reads the whole ledger once; calls `each` with every row. */
  check(dataDir: string, each: (row: Row) => void): Sums {
    const sums: Sums = {
      rows: 0,
      exactPrompt: 0,
      exactCompletion: 0,
      servedPrompt: 0,
      servedCompletion: 0,
      cutSeen: 0,
      cutBooked: 0,
      cutSaid: 0,
      leftInQueue: 0,
      outcomes: {},
    };
    let nameless = 0;
    const namelessBooked: Row[] = [];
    const endings: Record<string, number> = {};
    read(dataDir, (database) => {
      for (const row of database.prepare(rowsQuery).iterate() as IterableIterator<Row>) {
        each(row);
        this.#rows.add(row.id);
        sums.rows++;
        sums.outcomes[row.outcome] = (sums.outcomes[row.outcome] ?? 0) + 1;
        if (row.outcome === 'client_closed' && row.upstream === null && row.queuedMs > 0) sums.leftInQueue++;
        const expected = this.#expected.get(row.id);
        this.#expected.delete(row.id);
        if (expected) this.#compare(row, expected, sums);
        else {
          nameless++;
          const ending = `${row.outcome} ${row.upstream === null ? 'here' : 'there'}`;
          endings[ending] = (endings[ending] ?? 0) + 1;
          if (row.source === 'exact') addExact(row, row, sums);
          else namelessBooked.push(row);
        }
      }
    });
    for (const [id, { kind }] of this.#expected)
      if (kind !== 'none' && kind !== 'perhaps') this.fault(`The ledger has no row for ${id}.`);
    if (nameless !== this.#nameless.length)
      this.fault(
        `${this.#nameless.length} callers left before the head (${JSON.stringify(countsOf(this.#nameless))}), ` +
          `and ${nameless} rows are theirs (${JSON.stringify(endings)}).`,
      );
    this.#compareNameless(namelessBooked, sums);
    if (sums.exactPrompt !== sums.servedPrompt || sums.exactCompletion !== sums.servedCompletion)
      this.fault(
        `Of completed answers the ledger has ${sums.exactPrompt} + ${sums.exactCompletion} tokens, ` +
          `and the model server served ${sums.servedPrompt} + ${sums.servedCompletion}.`,
      );
    return sums;
  }

  /** Says of a ledger with faults what the gate's log has of exchanges without a row. Wrong keys have none. */
  explain(log: string): void {
    if (this.faults.length === 0) return;
    for (const line of log.split('\n')) {
      const id = /"id":"(req_[^"]+)"/.exec(line)?.[1];
      if (id !== undefined && !this.#rows.has(id) && !line.includes('"status":401'))
        this.fault(`Without a row: ${line}`);
    }
  }

  #compare(row: Row, expected: Expected, sums: Sums): void {
    const figures = `${row.outcome}, ${row.source}, ${row.prompt} + ${row.completion} tokens`;
    switch (expected.kind) {
      case 'none':
        return this.fault(`A caller whose key was wrong has a row: ${row.id}.`);
      case 'perhaps':
        return row.outcome === 'ended'
          ? this.#compareCut(row, expected.asked, 0, figures, sums)
          : this.#compareFree(row, figures);
      case 'free':
        return this.#compareFree(row, figures);
      case 'exact':
        addExact(row, { prompt: expected.promptTokens, completion: expected.completionTokens }, sums);
        if (
          row.source !== 'exact' ||
          row.outcome !== 'completed' ||
          row.prompt !== expected.promptTokens ||
          row.completion !== expected.completionTokens
        )
          this.fault(
            `${row.id} completed with ${expected.promptTokens} + ${expected.completionTokens}, the row has ${figures}.`,
          );
        return undefined;
      case 'cut':
        return this.#compareCut(row, expected.asked, expected.seen, figures, sums);
    }
  }

  #compareFree(row: Row, figures: string): void {
    if (row.prompt + row.completion > 0) this.fault(`${row.id} was to cost nothing and has ${figures}.`);
  }

  #compareCut(row: Row, asked: Asked, seen: number, figures: string, sums: Sums): void {
    // A caller who left when everything had been sent may find it completed.
    if (row.source === 'exact') {
      const { promptTokens: prompt, completionTokens: completion } = asked.own;
      addExact(row, { prompt, completion }, sums);
      if (row.prompt !== prompt || row.completion !== completion)
        this.fault(`${row.id} was served ${prompt} + ${completion}, the row has ${figures}.`);
      return;
    }
    const least = asked.stream ? seen : 0;
    const most = mostOf(asked);
    sums.cutSeen += least;
    sums.cutBooked += row.completion;
    sums.cutSaid += most;
    if (row.completion < least || row.completion > most)
      this.fault(`${row.id} (it ${asked.fate}): ${least} read, ${most} said, and the row has ${figures}.`);
    // An Anthropic stream reports its prompt tokens at its start; elsewhere a cut call is estimated from its bytes.
    if (row.prompt !== 0 && row.prompt !== Math.ceil(asked.bytes / 4) && row.prompt !== asked.promptSaid)
      this.fault(`${row.id} had ${asked.bytes} bytes and the row has ${figures}.`);
  }

  /** Which of these rows belongs to which exchange is unknown here, so their sums are compared. */
  #compareNameless(rows: readonly Row[], sums: Sums): void {
    const booked = rows.reduce((all, row) => all + row.completion, 0);
    const said = this.#nameless.reduce((all, asked) => all + mostOf(asked), 0);
    sums.cutBooked += booked;
    sums.cutSaid += said;
    if (booked > said)
      this.fault(`Callers who left before the head were booked ${booked} tokens of ${said} that were said.`);
  }
}

/** The most tokens that a cut answer may cost: its pieces, or a quarter of the bytes of a whole one. */
const mostOf = ({ said, wrote }: Asked): number => Math.max(said, Math.ceil(wrote / 4));

function addExact(
  row: Pick<Row, 'prompt' | 'completion'>,
  served: { readonly prompt: number; readonly completion: number },
  sums: Sums,
): void {
  sums.exactPrompt += row.prompt;
  sums.exactCompletion += row.completion;
  sums.servedPrompt += served.prompt;
  sums.servedCompletion += served.completion;
}

function explains({ fate }: Asked, status: number): boolean {
  if (fate === 'meets a 500') return status === 500;
  return (fate === 'is reset in mid-stream' || fate === 'breaks as a whole answer') && status === 502;
}

const rowsQuery = `select usage.id, at, usage.account_id as account, keys.lineage as lineage, outcome, upstream, source,
  prompt_tokens as prompt, completion_tokens as completion, queued_ms as queuedMs
  from usage left join keys on keys.id = usage.key_id`;

function read<T>(dataDir: string, use: (database: Database.Database) => T): T {
  const database = new Database(join(dataDir, 'sekisho.db'), { readonly: true });
  try {
    return use(database);
  } finally {
    database.close();
  }
}

const countsOf = (asked: readonly Asked[]): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(asked, ({ fate }) => fate)].map(([fate, all]) => [fate, all.length]));
