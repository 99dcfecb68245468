// The migrations of the SQLite database, in order. relational/tables.ts describes the current rows.
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';
import { firstRegistration } from '../../../domain/application.ts';
import { firstPlans } from '../../../domain/plan.ts';
import { firstRules } from '../../../domain/rule.ts';
import { addSkeletons, sayUnlimited } from './accounts.ts';
import { openAdmission, openBarred } from './admission.ts';
import { openAnnouncements } from './announcements.ts';
import { openAuditSearch } from './audit-search.ts';
import { openCertificates } from './certificates.ts';
import { openCoarseSums } from './coarse-sums.ts';
import { addGateSealing, addGateSecrets, addGateShows, addGateTimeZone } from './gate-secrets.ts';
import { openGates } from './gates.ts';
import { openMaintenance } from './maintenance.ts';
import { openNames } from './names.ts';
import { addNoticeStates } from './notices.ts';
import { openOutbox } from './outbox.ts';
import { markPageKeys } from './page-keys.ts';
import { bindPeople, openPeople } from './people.ts';
import { openPulls } from './pulls.ts';
import { openRecoveries } from './recoveries.ts';
import { openRequestLog } from './request-log.ts';
import { openRoutes } from './routes.ts';
import { openServers } from './servers.ts';
import { openSettings } from './settings.ts';
import { addPasskeyUse, openIdentities, openUsedOnce } from './sign-in.ts';
import { openStoreVersion } from './store-version.ts';
import { openStrangerRefusals } from './stranger-refusals.ts';
import { addCacheTokens, addOwnRefusals, addReasoningTokens, addRepeats, addUnits, splitHours } from './usage.ts';
import { openViews } from './views.ts';

/** Migrations by name, in order. A published one is never changed. */
export const migrations: Record<string, Migration> = {
  '0001-keys-and-usage': {
    async up(db: Kysely<unknown>): Promise<void> {
      await db.schema
        .createTable('accounts')
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('name', 'text', (column) => column.notNull().unique())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('keys')
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('account_id', 'text', (column) => column.notNull().references('accounts.id'))
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('digest', 'text', (column) => column.notNull().unique())
        .addColumn('status', 'text', (column) => column.notNull())
        .addColumn('scopes', 'text', (column) => column.notNull())
        .addColumn('models', 'text', (column) => column.notNull())
        .addColumn('cidr', 'text', (column) => column.notNull())
        .addColumn('allow_path', 'integer', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('expires_at', 'bigint')
        .addColumn('revoked_at', 'bigint')
        .addColumn('last_used_at', 'bigint')
        .addColumn('rotated_from', 'text')
        .execute();
      await db.schema
        .createTable('usage')
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addColumn('key_id', 'text', (column) => column.notNull())
        .addColumn('account_id', 'text', (column) => column.notNull())
        .addColumn('operation', 'text', (column) => column.notNull())
        .addColumn('model', 'text')
        .addColumn('upstream', 'text')
        .addColumn('outcome', 'text', (column) => column.notNull())
        .addColumn('status', 'integer', (column) => column.notNull())
        .addColumn('code', 'text')
        .addColumn('streamed', 'integer', (column) => column.notNull())
        .addColumn('prompt_tokens', 'bigint', (column) => column.notNull())
        .addColumn('completion_tokens', 'bigint', (column) => column.notNull())
        .addColumn('source', 'text', (column) => column.notNull())
        .addColumn('bytes_in', 'bigint', (column) => column.notNull())
        .addColumn('bytes_out', 'bigint', (column) => column.notNull())
        .addColumn('first_byte_ms', 'integer')
        .addColumn('duration_ms', 'bigint', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .execute();
      // No index except the primary key: ids are in time order, so rows are appended. An index on the key id was
      // measured at 10 µs per row with a thousand active keys, since each batch then writes pages all over it.
    },
  },
  '0002-plans-and-suspensions': {
    // oxlint-disable-next-line eslint/max-lines-per-function -- SQL as it was first written, which never changes
    async up(db: Kysely<unknown>): Promise<void> {
      const { schema } = db;
      await schema.alterTable('accounts').addColumn('plan', 'text').execute();
      await sql`update accounts set plan = 'default' where name <> 'operator'`.execute(db);
      await schema
        .alterTable('keys')
        .addColumn('lineage', 'text', (column) => column.notNull().defaultTo(''))
        .execute();
      await schema
        .alterTable('keys')
        .addColumn('narrowing', 'text', (column) => column.notNull().defaultTo('{}'))
        .execute();
      await sql`update keys set lineage = coalesce(rotated_from, id)`.execute(db);
      await schema.createIndex('keys_by_account').on('keys').column('account_id').execute();
      await schema
        .alterTable('usage')
        .addColumn('queued_ms', 'bigint', (column) => column.notNull().defaultTo(0))
        .execute();
      // One account's hours are adjacent: limits are read by account, and rows are added in batches.
      await schema
        .createTable('usage_hourly')
        .addColumn('account_id', 'text', (column) => column.notNull())
        .addColumn('hour', 'bigint', (column) => column.notNull())
        .addColumn('key_id', 'text', (column) => column.notNull())
        .addColumn('model', 'text', (column) => column.notNull())
        .addColumn('requests', 'bigint', (column) => column.notNull())
        .addColumn('refused', 'bigint', (column) => column.notNull())
        .addColumn('failed', 'bigint', (column) => column.notNull())
        .addColumn('prompt_tokens', 'bigint', (column) => column.notNull())
        .addColumn('completion_tokens', 'bigint', (column) => column.notNull())
        .addColumn('estimated', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('usage_hourly_key', ['account_id', 'hour', 'key_id', 'model'])
        .execute();
      await sql`
        insert into usage_hourly
        select account_id, at / 3600000, key_id, coalesce(model, ''), count(*),
          sum(case when outcome = 'refused' or (outcome = 'client_closed' and upstream is null) then 1 else 0 end),
          sum(case when outcome in ('refused', 'completed', 'client_closed') then 0 else 1 end),
          sum(prompt_tokens), sum(completion_tokens), sum(case when source = 'estimated' then 1 else 0 end)
        from usage group by 1, 2, 3, 4`.execute(db);
      await schema
        .createTable('plans')
        .addColumn('name', 'text', (column) => column.primaryKey().notNull())
        .addColumn('version', 'integer', (column) => column.notNull())
        .addColumn('terms', 'text', (column) => column.notNull())
        .execute();
      await schema
        .createTable('rules')
        .addColumn('name', 'text', (column) => column.primaryKey().notNull())
        .addColumn('definition', 'text', (column) => column.notNull())
        .execute();
      await schema
        .createTable('suspensions')
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('account_id', 'text', (column) => column.notNull().references('accounts.id'))
        .addColumn('key_id', 'text')
        .addColumn('step', 'text', (column) => column.notNull())
        .addColumn('rule', 'text')
        .addColumn('reason', 'text', (column) => column.notNull())
        .addColumn('evidence', 'text')
        .addColumn('shadow', 'integer', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('ends_at', 'bigint')
        .addColumn('lifted_at', 'bigint')
        .addColumn('lifted_by', 'text')
        .addColumn('appeal', 'text')
        .addColumn('appealed_at', 'bigint')
        .addColumn('answer', 'text')
        .addColumn('answered_at', 'bigint')
        .addColumn('answered_by', 'text')
        .execute();
      await schema.createIndex('suspensions_by_account').on('suspensions').column('account_id').execute();
      await schema
        .createTable('audit_events')
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addColumn('actor', 'text', (column) => column.notNull())
        .addColumn('action', 'text', (column) => column.notNull())
        .addColumn('subject', 'text', (column) => column.notNull())
        .addColumn('from_value', 'text')
        .addColumn('to_value', 'text')
        .execute();
      for (const { name, version, ...terms } of firstPlans)
        await sql`insert into plans values (${name}, ${version}, ${JSON.stringify(terms)})`.execute(db);
      for (const rule of firstRules)
        await sql`insert into rules values (${rule.name}, ${JSON.stringify(rule)})`.execute(db);
    },
  },
  '0003-repeatable-creations': {
    async up(db: Kysely<unknown>): Promise<void> {
      await db.schema
        .createTable('repeatables')
        .addColumn('key_id', 'text', (column) => column.notNull())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('digest', 'text', (column) => column.notNull())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addColumn('made', 'text')
        .addPrimaryKeyConstraint('repeatables_key', ['key_id', 'name'])
        .execute();
      await db.schema.createIndex('keys_by_age').on('keys').columns(['created_at', 'id']).execute();
    },
  },
  '0004-applications': {
    async up(db: Kysely<unknown>): Promise<void> {
      const { schema } = db;
      await schema
        .createTable('registration')
        .addColumn('id', 'integer', (column) => column.primaryKey().notNull())
        .addColumn('definition', 'text', (column) => column.notNull())
        .execute();
      await sql`insert into registration values (1, ${JSON.stringify(firstRegistration)})`.execute(db);
      await schema
        .createTable('applications')
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('email', 'text', (column) => column.notNull())
        .addColumn('purpose', 'text', (column) => column.notNull())
        .addColumn('models', 'text', (column) => column.notNull())
        .addColumn('status', 'text', (column) => column.notNull())
        .addColumn('claim_digest', 'text', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('decided_at', 'bigint')
        .addColumn('decided_by', 'text')
        .addColumn('decision', 'text')
        .addColumn('account_id', 'text', (column) => column.references('accounts.id'))
        .addColumn('claimed_at', 'bigint')
        .execute();
      await schema.createIndex('applications_by_status').on('applications').columns(['status', 'id']).execute();
      await schema
        .createTable('invites')
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('digest', 'text', (column) => column.notNull().unique())
        .addColumn('email', 'text')
        .addColumn('plan', 'text')
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('expires_at', 'bigint', (column) => column.notNull())
        .addColumn('used_at', 'bigint')
        .execute();
    },
  },
  '0005-lineage-of-keys-rotated-twice': {
    async up(db: Kysely<unknown>): Promise<void> {
      await sql`
        update keys set lineage = coalesce((
          with recursive row_of(id, parent) as (
            select self.id, self.rotated_from from keys self where self.id = keys.id
            union all
            select older.id, older.rotated_from from keys older join row_of on older.id = row_of.parent
          )
          select id from row_of where parent is null), lineage)
        where rotated_from is not null`.execute(db);
    },
  },
  '0006-people': {
    up: openPeople,
  },
  '0007-certificates': {
    up: openCertificates,
  },
  '0008-bound-keys': {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      await schema.alterTable('keys').addColumn('bound_certificate', 'text').execute();
    },
  },
  '0009-repeats': {
    up: addRepeats,
  },
  '0011-unlimited': {
    up: sayUnlimited,
  },
  '0012-used-once': {
    up: openUsedOnce,
  },
  '0013-provider-identities': {
    up: openIdentities,
  },
  '0014-admission': {
    up: openAdmission,
  },
  '0015-cache-tokens': {
    up: addCacheTokens,
  },
  '0016-skeletons': {
    up: addSkeletons,
  },
  '0017-barred': {
    up: openBarred,
  },
  '0018-quarters': {
    up: splitHours,
  },
  '0019-one-person': {
    up: bindPeople,
  },
  '0020-notices': {
    up: addNoticeStates,
  },
  '0021-own-refusals': {
    up: addOwnRefusals,
  },
  '0022-outbox': {
    up: openOutbox,
  },
  '0023-servers': {
    up: openServers,
  },
  '0026-reasoning-tokens': {
    up: addReasoningTokens,
  },
  '0027-model-names': {
    up: openNames,
  },
  '0028-units': {
    up: addUnits,
  },
  '0029-routes': {
    up: openRoutes,
  },
  '0030-page-keys': {
    up: markPageKeys,
  },
  '0031-request-log': {
    up: openRequestLog,
  },
  '0032-maintenance': {
    up: openMaintenance,
  },
  '0033-announcements': {
    up: openAnnouncements,
  },
  '0034-store-version': {
    up: openStoreVersion,
  },
  '0035-passkey-use': {
    up: addPasskeyUse,
  },
  '0036-coarse-sums': {
    up: openCoarseSums,
  },
  '0037-settings': {
    up: openSettings,
  },
  '0038-stranger-refusals': {
    up: openStrangerRefusals,
  },
  '0039-audit-search': {
    up: openAuditSearch,
  },
  '0040-pulls': {
    up: openPulls,
  },
  '0041-views': {
    up: openViews,
  },
  '0042-gates': {
    up: openGates,
  },
  '0043-gate-secrets': {
    up: addGateSecrets,
  },
  '0044-gate-shows': {
    up: addGateShows,
  },
  '0045-gate-sealing': {
    up: addGateSealing,
  },
  '0046-gate-time-zone': {
    up: addGateTimeZone,
  },
  '0047-recoveries': {
    up: openRecoveries,
  },
};
