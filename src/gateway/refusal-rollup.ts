// Refused calls without end must not fill the disk. Of calls of one key that end in a minute and never left, so many have
// a row each; the rest stands in one row with their number, which goes to the ledger when the minute is over. A kill in
// that minute loses that number: what cost nothing may be lost. Whatever has begun passes
// through at once. While the journal takes nothing (a full disk), every row would stay in memory: then all of them stand
// together, by the quarter of an hour that the sums go by, until it takes them again.
import type { KeyId } from '../domain/id.ts';
import type { SteadyMs } from '../domain/time.ts';
import { isOwnRefusal, neverLeft, type UsageRecord } from '../domain/usage.ts';
import type { OpenUsage, UsageJournal } from '../store/ports/journal.ts';

const minuteMs = 60_000;
/** As fine as the roll-ups are. */
const quarterMs = 900_000;

type Held = { -readonly [Field in keyof UsageRecord]: UsageRecord[Field] };

interface Minute {
  /** That stand by themselves. */
  rows: number;
  /** Those that stand together, by outcome and the minute (or quarter of an hour) they began in, so that every sum of any time is what it was. */
  readonly held: Map<string, Held>;
}

export class Refusals implements Pick<UsageJournal, 'end'> {
  readonly #journal: Pick<UsageJournal, 'end' | 'isStuck'>;
  readonly #rowsPerMinute: number;
  readonly #now: () => SteadyMs;
  /** Keys that had a call refused in this minute, and no others. */
  readonly #keys = new Map<KeyId, Minute>();
  #minute = 0;

  constructor(journal: Pick<UsageJournal, 'end' | 'isStuck'>, rowsPerMinute: number, now: () => SteadyMs) {
    this.#journal = journal;
    this.#rowsPerMinute = rowsPerMinute;
    this.#now = now;
  }

  end(record: UsageRecord, begun: OpenUsage | undefined): void {
    if (begun || !neverLeft(record.outcome, record.upstream)) {
      this.#journal.end(record, begun);
      return;
    }
    this.sweep();
    let minute = this.#keys.get(record.keyId);
    if (!minute) this.#keys.set(record.keyId, (minute = { rows: 0, held: new Map() }));
    if (this.#journal.isStuck) hold(minute.held, record, quarterMs);
    else if (minute.rows++ < this.#rowsPerMinute) this.#journal.end(record, undefined);
    else hold(minute.held, record, minuteMs);
  }

  /** Lets go of a minute that is over. To be called every so often: a key that has gone silent is not to be waited for. */
  sweep(): void {
    const minute = Math.floor(this.#now() / minuteMs);
    if (minute === this.#minute || this.#journal.isStuck) return;
    this.#minute = minute;
    this.flush();
    this.#keys.clear();
  }

  /** Hands over what is held; how many rows each key has filled in this minute stands. */
  flush(): void {
    for (const { held } of this.#keys.values()) {
      for (const row of held.values()) this.#journal.end(row, undefined);
      held.clear();
    }
  }
}

/** The first gives id, time, operation, status and address; a model or a reason stands there if all of them have the same. */
function hold(held: Map<string, Held>, record: UsageRecord, spanMs: number): void {
  const { outcome, code } = record;
  // What nobody is blamed for keeps its reason, so that rules never count it.
  const blameless = outcome === 'refused' && !isOwnRefusal(outcome, code) ? code : '';
  const group = `${outcome} ${blameless} ${spanMs} ${Math.floor(record.at / spanMs)}`;
  const row = held.get(group);
  if (!row) {
    held.set(group, { ...record });
    return;
  }
  row.repeats += record.repeats;
  row.bytesIn += record.bytesIn;
  row.bytesOut += record.bytesOut;
  if (row.model !== record.model) row.model = null;
  if (row.code !== record.code) row.code = null;
}
