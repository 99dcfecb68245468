// Writes what the journal of another gateway holds to the store: for a gateway that was killed and does not come back. Its rows are those
// that it would have written at its next start, each once. The segments keep their bytes under a name that no gateway reads.
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { AccountId } from '../../domain/id.ts';
import { Refusal } from '../../domain/refusal.ts';
import type { UsageRecord } from '../../domain/usage.ts';
import type { Store } from '../ports/store.ts';
import { Journal, linesOfAll, segmentPath } from './journal.ts';
import { recovered } from './journal-lines.ts';

export interface Adopted {
  /** Calls in the journal. */
  readonly calls: number;
  /** Those that the store did not have. */
  readonly added: number;
  /** Those that it had. */
  readonly present: number;
}

const rowsPerBatch = 500;

/**
 * `dataDir`: no gateway may use it meanwhile.
 * @throws Refusal if there is no journal, or if it is one of another database; then nothing is written.
 */
export async function adoptJournal(
  dataDir: string,
  store: Pick<Store, 'appendUsage' | 'noteRecovered' | 'knownUsage' | 'findAccount'>,
): Promise<Adopted> {
  if (!existsSync(join(dataDir, 'journal'))) throw new Refusal(`There is no journal in ${dataDir}.`, 'not_found');
  const directory = Journal.directoryIn(dataDir);
  const paths = Journal.segmentsIn(directory).map((segment) => segmentPath(directory, segment));
  const rows = (): Iterable<UsageRecord> => recovered(linesOfAll(paths));
  const accounts = await refuseForeign(rows(), store);
  const adopted = { calls: 0, added: 0, present: 0 };
  for (const batch of batches(rows())) {
    const before = await store.knownUsage([...batch.keys()]);
    await store.appendUsage([...batch.values()]);
    adopted.calls += batch.size;
    adopted.present += before.size;
    adopted.added += batch.size - before.size;
  }
  await store.noteRecovered(accounts);
  // Otherwise, rows that retention has dropped meanwhile would be added again by a later run.
  for (const path of paths) renameSync(path, `${path}.adopted`);
  return adopted;
}

/** Calls of accounts that the store does not have are of another installation. Returns the accounts. */
async function refuseForeign(
  rows: Iterable<UsageRecord>,
  store: Pick<Store, 'findAccount'>,
): Promise<ReadonlySet<AccountId>> {
  const known = new Set<AccountId>();
  for (const { accountId } of rows) {
    if (known.has(accountId)) continue;
    if (!(await store.findAccount(accountId)))
      throw new Refusal(
        `The journal has calls of the account ${accountId}, which this database does not have. Nothing was written: set DATABASE_URL to the database of that gateway.`,
        'conflict',
      );
    known.add(accountId);
  }
  return known;
}

/** By id: a journal can hold a call twice, and its first row counts. */
function* batches(rows: Iterable<UsageRecord>): Generator<Map<string, UsageRecord>> {
  let batch = new Map<string, UsageRecord>();
  for (const row of rows) {
    if (!batch.has(row.id)) batch.set(row.id, row);
    if (batch.size < rowsPerBatch) continue;
    yield batch;
    batch = new Map();
  }
  if (batch.size > 0) yield batch;
}
