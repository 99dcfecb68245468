// Settings that were changed at run time: one row for a group, with its version, and one for each change.
import type { Selectable, Transaction } from 'kysely';
import type { SettingChangeId } from '../../domain/id.ts';
import {
  keptSettingChanges,
  type SettingChange,
  type StoredSettings,
  type StoredValue,
} from '../../domain/setting-change.ts';
import type { SettingStore } from '../ports/settings.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';
import { putVersioned } from './versioned.ts';

export function settingQueries(connection: Connection): SettingStore {
  const { db, transact } = connection;
  const changes = () => db.selectFrom('setting_changes').selectAll();
  return {
    listSettings: async () => (await db.selectFrom('settings').selectAll().execute()).map(settingsOf),
    findSettings: async (group) => {
      const row = await db.selectFrom('settings').selectAll().where('id', '=', group).executeTakeFirst();
      return row && settingsOf(row);
    },
    putSettings: (settings, change, event) =>
      putVersioned(
        connection,
        'settings',
        rowOf(settings),
        // A first version that somebody else has stored meanwhile.
        async (transaction) => {
          if (settings.version > 1) return undefined;
          const { group } = settings;
          const row = await transaction.selectFrom('settings').select('id').where('id', '=', group).executeTakeFirst();
          return row && ('gone' as const);
        },
        event,
        (transaction) => writeSettingChange(transaction, change),
      ),
    resealSettings: (settings, resealed, event) =>
      transact(async (transaction) => {
        for (const { group, values } of settings)
          await transaction
            .updateTable('settings')
            .set({ definition: JSON.stringify(values) })
            .where('id', '=', group)
            .execute();
        for (const { id, from, to } of resealed)
          await transaction
            .updateTable('setting_changes')
            .set({ from_values: JSON.stringify(from), to_values: JSON.stringify(to) })
            .where('id', '=', id)
            .execute();
        await writeAudit(transaction, event);
      }),
    listSettingChanges: async ({ before, limit }) => {
      let query = changes().orderBy('id', 'desc').limit(limit);
      if (before !== undefined) query = query.where('id', '<', before as SettingChangeId);
      return (await query.execute()).map(changeOf);
    },
    findSettingChange: async (id) => {
      const row = await changes().where('id', '=', id).executeTakeFirst();
      return row && changeOf(row);
    },
  };
}

/** In the transaction of what it describes. */
export async function writeSettingChange(transaction: Transaction<Tables>, change: SettingChange): Promise<void> {
  const { id, at, actor, group, from, to, undoes } = change;
  await transaction
    .insertInto('setting_changes')
    .values({
      id,
      at,
      actor,
      group_name: group,
      from_values: JSON.stringify(from),
      to_values: JSON.stringify(to),
      undoes,
      undone_by: null,
    })
    .execute();
  if (undoes !== null)
    await transaction.updateTable('setting_changes').set({ undone_by: id }).where('id', '=', undoes).execute();
  const oldest = await transaction
    .selectFrom('setting_changes')
    .select('id')
    .orderBy('id', 'desc')
    .offset(keptSettingChanges)
    .limit(1)
    .executeTakeFirst();
  if (oldest) await transaction.deleteFrom('setting_changes').where('id', '<=', oldest.id).execute();
}

const rowOf = ({ group, values, version, createdAt, changedAt }: StoredSettings): Tables['settings'] => ({
  id: group,
  version,
  created_at: createdAt,
  changed_at: changedAt,
  definition: JSON.stringify(values),
});

const settingsOf = (row: Selectable<Tables['settings']>): StoredSettings => ({
  group: row.id,
  values: JSON.parse(row.definition) as Record<string, StoredValue>,
  version: Number(row.version),
  createdAt: Number(row.created_at),
  changedAt: Number(row.changed_at),
});

const changeOf = (row: Selectable<Tables['setting_changes']>): SettingChange => ({
  id: row.id,
  at: Number(row.at),
  actor: row.actor,
  group: row.group_name,
  from: JSON.parse(row.from_values) as Record<string, StoredValue | null>,
  to: JSON.parse(row.to_values) as Record<string, StoredValue | null>,
  undoes: row.undoes,
  undoneBy: row.undone_by,
});
