// The figure that changes with every change of who may do what: one row, which triggers count up in the transaction of the change.
// Concurrent changes wait for the row, so the figure has no gaps: a reader sees every change up to it. A sequence would
// not do, because 11 can be visible before 10.

/** Tables whose changes nobody has to notice: the figure itself, the ledger, and what belongs to a single call, sign-in or gate. */
const unnoticed = new Set([
  'store_version',
  'caller_changes',
  'usage',
  'usage_quarterly',
  'unit_quarterly',
  'outcome_steps',
  'latency_steps',
  'time_sums',
  'model_sums',
  'key_sums',
  'coarse_sums_until',
  'stranger_refusals',
  'gates',
  'leases',
  'repeatables',
  'used_once',
  'verifications',
]);

/** Columns that change with use. */
const touched = ['last_used_at'];

export const versionTable: readonly string[] = [
  `create table store_version (id bigint primary key check (id = 1), n bigint not null)`,
  `insert into store_version values (1, 1)`,
  // Before a statement, so that it waits for decisions before it locks a row that they may need.
  `create function sekisho_turn() returns trigger language plpgsql as $$
begin
  lock table store_version in exclusive mode;
  return null;
end $$`,
  `create function sekisho_changed() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    if not exists (
      select to_jsonb(after) - '{${touched.join(',')}}'::text[] from changed as after
      except select to_jsonb(before) - '{${touched.join(',')}}'::text[] from earlier as before
    ) then return null; end if;
  elsif not exists (select from changed) then
    return null;
  end if;
  update store_version set n = n + 1;
  return null;
end $$`,
];

/** The triggers of a table; none for one whose changes nobody has to notice. */
export function noticing(table: string): string[] {
  if (unnoticed.has(table)) return [];
  return [
    `create trigger sekisho_turn before insert or update or delete on ${table}
  for each statement execute function sekisho_turn()`,
    `create trigger sekisho_inserted after insert on ${table} referencing new table as changed
  for each statement execute function sekisho_changed()`,
    `create trigger sekisho_updated after update on ${table} referencing new table as changed old table as earlier
  for each statement execute function sekisho_changed()`,
    `create trigger sekisho_deleted after delete on ${table} referencing old table as changed
  for each statement execute function sekisho_changed()`,
  ];
}
