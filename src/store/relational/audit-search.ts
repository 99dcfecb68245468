// Finds events of the audit log by what they contain, newest first. One part of the filter (subjects, actors or actions) chooses
// an index that has the ids in order of time; the other parts are checked on the rows. Rows are read a few hundred at a time, with
// other work of the process between them, and a search that has read its share ends with a position to continue from.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Kysely, type Selectable, sql } from 'kysely';
import { type AuditId, firstAuditId } from '../../domain/id.ts';
import type { AuditFilter } from '../ports/audit.ts';
import type { Tables } from './tables.ts';

export type AuditRow = Selectable<Tables['audit_events']>;

interface Found {
  readonly rows: readonly AuditRow[];
  readonly next: AuditId | undefined;
}

/** The index that is read, and the values whose rows are merged. */
type Driver =
  | { readonly column: 'subject' | 'actor' | 'action'; readonly values: readonly string[] }
  | { readonly column: 'none'; readonly values: readonly [''] };

/** Sorts behind every id of the alphabet. */
const end = 'aud_~' as AuditId;

export async function searchAuditRows(
  db: Kysely<Tables>,
  filter: AuditFilter,
  limit: number,
  before: string | undefined,
  look: number,
): Promise<Found> {
  const { since, until, action } = filter;
  const actions = action === undefined ? undefined : await actionsOf(db, action);
  const driver = driverOf(filter, actions);
  const isWanted = checkOf(filter, actions);
  const floor = firstAuditId(since ?? 0);
  let top = until === undefined ? end : firstAuditId(until);
  if (before !== undefined && before < top) top = before as AuditId;
  const take = isWanted ? Math.max(20, Math.floor(500 / driver.values.length)) : limit + 1;
  const rows: AuditRow[] = [];
  let left = look;
  while (driver.values.length > 0 && top > floor) {
    const piece = await readPiece(db, driver, floor, top, take);
    rows.push(...(isWanted ? piece.rows.filter(isWanted) : piece.rows));
    if (rows.length > limit) return { rows: rows.slice(0, limit), next: rows[limit - 1]?.id };
    if (piece.edge === undefined) break;
    top = piece.edge;
    left -= piece.read;
    if (left <= 0) return { rows, next: top };
    await nextTurn();
  }
  return { rows, next: undefined };
}

/** Every action in the log: each step of the recursion is one seek in the index. */
export async function actionsInLog(db: Kysely<Tables>): Promise<string[]> {
  const { rows } = await sql<{ action: string }>`
    with recursive actions(action) as (
      select min(action) from audit_events
      union all
      select (select min(action) from audit_events where audit_events.action > actions.action)
      from actions where actions.action is not null
    )
    select action from actions where action is not null`.execute(db);
  return rows.map(({ action }) => action);
}

async function actionsOf(db: Kysely<Tables>, action: string): Promise<readonly string[]> {
  return (await actionsInLog(db)).filter((each) => each === action || each.startsWith(`${action}.`));
}

function driverOf({ subjects, actors }: AuditFilter, actions: readonly string[] | undefined): Driver {
  if (subjects) return { column: 'subject', values: subjects };
  if (actors) return { column: 'actor', values: actors };
  return actions ? { column: 'action', values: actions } : { column: 'none', values: [''] };
}

/** The parts of the filter that the driver leaves; undefined if there is none. */
function checkOf(
  { subjects, actors, text }: AuditFilter,
  actions: readonly string[] | undefined,
): ((row: AuditRow) => boolean) | undefined {
  const checks: ((row: AuditRow) => boolean)[] = [];
  if (subjects && actors) {
    const wanted = new Set(actors);
    checks.push(({ actor }) => wanted.has(actor));
  }
  if ((subjects ?? actors) && actions) {
    const wanted = new Set(actions);
    checks.push(({ action }) => wanted.has(action));
  }
  if (text !== undefined) {
    const plain = text.toLowerCase();
    // As it is spelled within the values, which are stored as JSON.
    const escaped = JSON.stringify(text).slice(1, -1).toLowerCase();
    const holds = (value: string | null, wanted: string): boolean => value?.toLowerCase().includes(wanted) === true;
    checks.push(
      ({ actor, action, subject, from_value, to_value }) =>
        [actor, action, subject].some((value) => holds(value, plain)) ||
        [from_value, to_value].some((value) => holds(value, escaped)),
    );
  }
  return checks.length === 0 ? undefined : (row) => checks.every((check) => check(row));
}

/**
 * The newest rows of all values in [floor, top), down to `edge`: the position to which each value has been read. Undefined: all
 * of them were.
 */
async function readPiece(
  db: Kysely<Tables>,
  { column, values }: Driver,
  floor: AuditId,
  top: AuditId,
  take: number,
): Promise<{ readonly rows: readonly AuditRow[]; readonly edge: AuditId | undefined; readonly read: number }> {
  const all: AuditRow[] = [];
  let edge: AuditId | undefined;
  for (const value of values) {
    let query = db
      .selectFrom('audit_events')
      .selectAll()
      .where('id', '>=', floor)
      .where('id', '<', top)
      .orderBy('id', 'desc')
      .limit(take);
    if (column !== 'none') query = query.where(column, '=', value);
    const rows = await query.execute();
    all.push(...rows);
    const last = rows.at(-1)?.id;
    if (rows.length === take && last !== undefined && (edge === undefined || last > edge)) edge = last;
  }
  const newest = all.toSorted((a, b) => (a.id < b.id ? 1 : -1));
  const rows = edge === undefined ? newest : newest.filter(({ id }) => id >= edge);
  return { rows, edge, read: all.length + values.length };
}
