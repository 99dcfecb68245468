// Settings that operators change at run time, and the changes.
export const settingTables: readonly string[] = [
  `create table settings (
  id text primary key, version bigint not null, created_at bigint not null, changed_at bigint not null,
  definition text not null
)`,
  `create table setting_changes (
  id text primary key, at bigint not null, actor text not null, group_name text not null,
  from_values text not null, to_values text not null, undoes text, undone_by text
)`,
];
