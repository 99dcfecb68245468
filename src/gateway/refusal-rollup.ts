// Keeps floods of refused calls from filling the disk. Of one key's calls that end within a minute without being sent,
// a limited number have their own rows; the rest share one row with their count, written when the minute is over. If
// the process is killed in that minute, the count is lost, which is acceptable because the calls cost nothing. Calls
// that were sent are written at once. While the journal cannot write (a full disk), all rows would stay in memory: they
// are then combined per quarter of an hour, the resolution of the roll-ups, until it can.
import type { KeyId } from '../domain/id.ts';
import type { SteadyMs } from '../domain/time.ts';
import { isOwnRefusal, neverLeft, type UsageRecord } from '../domain/usage.ts';
import type { OpenUsage, UsageJournal } from '../store/ports/journal.ts';

const minuteMs = 60_000;
/** The resolution of the roll-ups. */
const quarterMs = 900_000;

type Held = { -readonly [Field in keyof UsageRecord]: UsageRecord[Field] };

interface Minute {
  /** Number of separate rows. */
  rows: number;
  /** Combined refusals, by outcome and start (minute or quarter of an hour), so that sums over time stay correct. */
  readonly held: Map<string, Held>;
}

export class Refusals implements Pick<UsageJournal, 'end'> {
  readonly #journal: Pick<UsageJournal, 'end' | 'isStuck'>;
  readonly #rowsPerMinute: () => number;
  readonly #now: () => SteadyMs;
  /** Keys with refused calls in this minute. */
  readonly #keys = new Map<KeyId, Minute>();
  #minute = 0;

  constructor(journal: Pick<UsageJournal, 'end' | 'isStuck'>, rowsPerMinute: () => number, now: () => SteadyMs) {
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
    else if (minute.rows++ < this.#rowsPerMinute()) this.#journal.end(record, undefined);
    else hold(minute.held, record, minuteMs);
  }

  /** Writes out a minute that is over. Call periodically: a key may send no further calls. */
  sweep(): void {
    const minute = Math.floor(this.#now() / minuteMs);
    if (minute === this.#minute || this.#journal.isStuck) return;
    this.#minute = minute;
    this.flush();
    this.#keys.clear();
  }

  /** Writes out what is held; the row counts of the current minute stay. */
  flush(): void {
    for (const { held } of this.#keys.values()) {
      for (const row of held.values()) this.#journal.end(row, undefined);
      held.clear();
    }
  }
}

/** The first record sets id, time, operation, status and address; model and code stay only if all records agree. */
function hold(held: Map<string, Held>, record: UsageRecord, spanMs: number): void {
  const { outcome, code } = record;
  // Refusals that are not the caller's fault keep their code, so that rules never count them.
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
  if (row.refusedBy !== record.refusedBy) row.refusedBy = undefined;
  // Each says its own figures.
  row.detail = undefined;
}
