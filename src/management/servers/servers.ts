// The use cases of model servers in the store: add, change, remove. Every gateway on the store follows within a second. A
// secret can be set but never read.
import type { z } from 'zod';
import { type Author, auditEvent } from '../../domain/audit.ts';
import { readSecretLines } from '../../domain/credential-lines.ts';
import { type AccountId, newServerId, type ServerId } from '../../domain/id.ts';
import {
  type ModelServer,
  mostServers,
  readServerAddress,
  readSlots,
  readWeight,
  type ServerSecret,
} from '../../domain/model-server.ts';
import { seal } from '../../domain/sealed-secret.ts';
import { Secret } from '../../domain/secret.ts';
import type { ServerStatus } from '../../domain/server-status.ts';
import { iso } from '../../domain/time.ts';
import type { NotStored } from '../../store/ports/servers.ts';
import type { Store } from '../../store/ports/store.ts';
import { requireAccount } from '../accounts/accounts.ts';
import { Fault, reading } from '../fault.ts';
import { requirePlan } from '../plans/plans.ts';
import type { serverSchema } from './schemas.ts';
import { sealingKeysFrom } from './sealing.ts';
import type { ServerRules } from './server-rules.ts';

/** The fields of a server; omitted ones stay unchanged, or have their defaults. */
export interface ServerFields {
  readonly name?: string | undefined;
  readonly address?: string | undefined;
  readonly kind?: string | null | undefined;
  readonly weight?: number | undefined;
  readonly slots?: Readonly<Record<string, number>> | null | undefined;
  /** An API key or header lines, to be stored encrypted; null for none. */
  readonly secret?: string | null | undefined;
  /** The name of a file with the secret, instead. */
  readonly secretFile?: string | null | undefined;
  readonly caFile?: string | null | undefined;
  readonly certificateFile?: string | null | undefined;
  readonly keyFile?: string | null | undefined;
  readonly plans?: readonly string[] | null | undefined;
  /** Ids or names. */
  readonly accounts?: readonly string[] | null | undefined;
  readonly maintenance?: boolean | undefined;
}

/** By id or name. @throws Fault. */
export async function requireServer(store: Store, named: string): Promise<ModelServer> {
  const found = named.startsWith('srv_')
    ? await store.findServer(named as ServerId)
    : await store.findServerByName(named);
  if (found) return found;
  throw new Fault('server_missing', { name: named }, 'not_found');
}

/** @throws Fault. */
export function createServer(
  store: Store,
  fields: ServerFields & { readonly name: string; readonly address: string },
  rules: ServerRules,
  author: Author,
): Promise<ModelServer> {
  return store.atomically(async (within) => {
    if ((await within.listServers()).length >= mostServers)
      throw new Fault('servers_full', { most: mostServers }, 'conflict');
    const blank: ModelServer = {
      id: newServerId(),
      name: '',
      address: '',
      kind: null,
      weight: 1,
      slots: null,
      secret: null,
      caFile: null,
      certificateFile: null,
      keyFile: null,
      plans: null,
      accounts: null,
      maintenance: false,
      createdAt: author.at,
      changedAt: author.at,
      version: 1,
    };
    const server = await withFields(within, blank, fields, rules, author);
    const event = auditEvent(author, 'server.create', server.id, null, audited(server));
    refuseTaken(await within.putServer(server, event), server);
    return server;
  });
}

/** @throws Fault. */
export function changeServer(
  store: Store,
  named: string,
  fields: ServerFields,
  rules: ServerRules,
  author: Author,
): Promise<ModelServer> {
  return store.atomically(async (within) => {
    const before = await requireServer(within, named);
    const { version } = before;
    const after = {
      ...(await withFields(within, before, fields, rules, author)),
      changedAt: author.at,
      version: version + 1,
    };
    const event = auditEvent(author, 'server.set', after.id, audited(before), audited(after));
    refuseTaken(await within.putServer(after, event), after);
    return after;
  });
}

/** Its running calls may continue until the deadline of the settings. @throws Fault. */
export function deleteServer(store: Store, named: string, author: Author): Promise<ModelServer> {
  return store.atomically(async (within) => {
    const server = await requireServer(within, named);
    await within.deleteServer(server.id, auditEvent(author, 'server.delete', server.id, audited(server), null));
    return server;
  });
}

function refuseTaken(taken: NotStored | undefined, { name, address }: ModelServer): void {
  if (taken === 'name') throw new Fault('server_taken', { name }, 'conflict');
  if (taken === 'address') throw new Fault('server_address_taken', { address }, 'conflict');
  if (taken === 'gone') throw new Fault('server_changed', { name }, 'conflict');
}

/** @throws Fault. */
async function withFields(
  store: Store,
  before: ModelServer,
  fields: ServerFields,
  rules: ServerRules,
  { at }: Author,
): Promise<ModelServer> {
  const { name, address, kind, weight, slots, plans, accounts, maintenance } = fields;
  if (name !== undefined && !/^[a-z0-9][a-z0-9-]{0,39}$/.test(name)) throw new Fault('server_name', {});
  if (name !== undefined && reserved.test(name)) throw new Fault('server_name_reserved', {});
  if (kind !== undefined && kind !== null && !rules.kinds.includes(kind))
    throw new Fault('server_kind', { kind, kinds: rules.kinds.join(', ') });
  const files = {
    caFile: fileOf(fields.caFile, before.caFile, rules),
    certificateFile: fileOf(fields.certificateFile, before.certificateFile, rules),
    keyFile: fileOf(fields.keyFile, before.keyFile, rules),
  };
  if ((files.certificateFile === null) !== (files.keyFile === null)) throw new Fault('server_certificate_pair', {});
  for (const plan of plans ?? []) await requirePlan(store, plan);
  const reaching: AccountId[] = [];
  for (const account of accounts ?? []) reaching.push((await requireAccount(store, account)).id);
  const next = address === undefined ? before.address : addressOf(address, rules);
  return {
    ...before,
    name: name ?? before.name,
    address: next,
    kind: kind === undefined ? before.kind : kind,
    weight: weight === undefined ? before.weight : reading(() => readWeight(weight)),
    slots: slots === undefined ? before.slots : slots && reading(() => readSlots(slots)),
    secret: secretOf(before, next, fields, rules, at),
    ...files,
    plans: plans === undefined ? before.plans : plans && [...new Set(plans)],
    accounts: accounts === undefined ? before.accounts : accounts && [...new Set(reaching)],
    maintenance: maintenance ?? before.maintenance,
  };
}

/** Names that callers use for all servers, and for those of the settings (src/gateway/spread). */
const reserved = /^(?:all|upstream-\d+)$/;

const isMoved = (address: string, next: string): boolean => new URL(address).origin !== new URL(next).origin;

function addressOf(text: string, rules: ServerRules): string {
  const address = reading(() => readServerAddress(text));
  if (rules.isOwn(address)) throw new Fault('address_is_gate', { address });
  if (rules.fixed.includes(address)) throw new Fault('server_in_settings', { address }, 'conflict');
  return address;
}

/** A plain name, so that files outside the directory, such as the gateway's own secrets, cannot be used. */
function fileOf(file: string | null | undefined, before: string | null, rules: ServerRules): string | null {
  if (file === undefined) return before;
  if (file === null) return null;
  if (!rules.hasFiles) throw new Fault('server_files_unset', {});
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/.test(file)) throw new Fault('file_name', {});
  return file;
}

function secretOf(
  { id, address, secret: before }: ModelServer,
  next: string,
  { secret, secretFile }: ServerFields,
  rules: ServerRules,
  at: number,
): ServerSecret | null {
  if (typeof secret === 'string' && typeof secretFile === 'string') throw new Fault('server_secret_twice', {});
  if (typeof secretFile === 'string') return { kind: 'file', file: fileOf(secretFile, null, rules) as string };
  if (secret === undefined) {
    if (before?.kind === 'file') return secretFile === null ? null : before;
    // The secret belongs to the old address, and another server must not receive it.
    if (before && isMoved(address, next)) throw new Fault('server_secret_again', {});
    return before;
  }
  if (secret === null) return null;
  // The sentence gives the number of a line but never its text.
  const lines = reading(() => readSecretLines(secret));
  if (lines.length === 0) throw new Fault('server_secret_empty', {});
  return {
    kind: 'stored',
    sealed: reading(() => seal(sealingKeysFrom(rules.keyFile), id, new Secret(secret))),
    setAt: at,
  };
}

/** Where its secret is stored, never the secret itself. */
const secretFrom = (secret: ServerSecret | null) =>
  secret === null
    ? null
    : secret.kind === 'file'
      ? { from: 'file' as const, file: secret.file, setAt: null }
      : { from: 'stored' as const, file: null, setAt: iso(secret.setAt) };

const audited = ({ secret, ...server }: ModelServer): Record<string, unknown> => ({
  ...server,
  secret: secretFrom(secret),
});

type Shown = z.output<typeof serverSchema>;

/** As the management API shows it; without a status if it is unknown because no gateway runs. */
export function showServer(server: ModelServer, status: ServerStatus | undefined): Shown {
  const { secret, createdAt, changedAt, slots, plans, accounts, ...rest } = server;
  return {
    ...rest,
    fixed: false,
    slots: slots && { ...slots },
    secret: secretFrom(secret),
    plans: plans && [...plans],
    accounts: accounts && [...accounts],
    createdAt: iso(createdAt),
    changedAt: iso(changedAt),
    ...showStatus(status),
  };
}

/** A server of the settings. */
export function showFixedServer(address: string, status: ServerStatus | undefined): Shown {
  return {
    id: null,
    name: address,
    address,
    fixed: true,
    kind: null,
    weight: 1,
    slots: null,
    secret: null,
    caFile: null,
    certificateFile: null,
    keyFile: null,
    plans: null,
    accounts: null,
    maintenance: false,
    createdAt: null,
    changedAt: null,
    version: null,
    ...showStatus(status),
  };
}

/** The names of a server's models that are shown. */
const mostModels = 500;

function showStatus(status: ServerStatus | undefined) {
  const { state, since, reason, detectedKind, models, inFlight } = status ?? notSeen;
  return {
    state,
    since: since === null ? null : iso(since),
    reason,
    detectedKind,
    models: models.slice(0, mostModels),
    modelCount: models.length,
    inFlight,
  };
}

const notSeen: ServerStatus = {
  state: 'unknown',
  since: null,
  reason: null,
  detectedKind: null,
  models: [],
  inFlight: 0,
};
