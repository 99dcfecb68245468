// Whose calls each change may concern, so that gateways read only those keys again. The figure of a change and its rows are one
// transaction, and changes take turns, so a reader that sees a figure sees the rows of all changes up to it.

/** Of so many changes it is known whom they concern. */
export const keptChanges = 1_000;

/** What no call depends on once it has begun to be identified. Of any other table, each change concerns everyone. */
const unrelated = [
  'acme_accounts',
  'acme_challenges',
  'announcements',
  'applications',
  'audit_events',
  'barred',
  'certificates',
  'credentials',
  'dismissals',
  'invites',
  'maintenance',
  'one_time_links',
  'outbox',
  'passkeys',
  'pulls',
  'registration',
  'rules',
  'sessions',
  'setting_changes',
  'two_factors',
  'views',
];

/** `tables`: those whose column `account_id` says whom a change concerns. */
export const changesOfAccounts = (tables: readonly string[]): readonly string[] => [
  // Changes that are under way have run the function of before.
  'lock table store_version in exclusive mode',
  `create or replace function sekisho_changed() returns trigger language plpgsql as $$
declare figure bigint;
begin
  if tg_op = 'UPDATE' then
    if not exists (
      select to_jsonb(after) - '{last_used_at}'::text[] from changed as after
      except select to_jsonb(before) - '{last_used_at}'::text[] from earlier as before
    ) then return null; end if;
  elsif not exists (select from changed) then
    return null;
  end if;
  update store_version set n = n + 1 returning n into figure;
  if tg_table_name in (${unrelated.map((table) => `'${table}'`).join(', ')}) then
    return null;
  elsif tg_table_name in (${tables.map((table) => `'${table}'`).join(', ')}) then
    insert into caller_changes select distinct figure, account_id from changed;
    if tg_op = 'UPDATE' then insert into caller_changes select distinct figure, account_id from earlier; end if;
  elsif tg_table_name = 'accounts' then
    insert into caller_changes select figure, id from changed;
    if tg_op = 'UPDATE' then insert into caller_changes select figure, id from earlier; end if;
  else
    insert into caller_changes values (figure, null);
  end if;
  delete from caller_changes where n <= figure - ${keptChanges};
  return null;
end $$`,
];

export const callerChanges: readonly string[] = [
  // Without an account: everyone.
  'create table caller_changes (n bigint not null, account_id text)',
  'create index caller_changes_by_n on caller_changes (n)',
  ...changesOfAccounts(['keys', 'suspensions']),
];
