// Which secret each gate signs sessions with, as a fingerprint: gates of one database need the same. And what each gate does now.
import type { Kysely } from 'kysely';

export async function addGateSecrets({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .alterTable('gates')
    .addColumn('secret', 'text', (column) => column.notNull().defaultTo(''))
    .execute();
}

export async function addGateShows({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .alterTable('gates')
    .addColumn('live', 'text', (column) => column.notNull().defaultTo(''))
    .execute();
}

/** The name of the key with which each gate encrypts stored secrets. */
export async function addGateSealing({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .alterTable('gates')
    .addColumn('sealing', 'text', (column) => column.notNull().defaultTo(''))
    .execute();
}

/** The time zone in which the windows of limits begin at each gate. */
export async function addGateTimeZone({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .alterTable('gates')
    .addColumn('time_zone', 'text', (column) => column.notNull().defaultTo(''))
    .execute();
}
