// A model server in the store, and the validation of its address, weight and slots. Pure: other files check whether it
// answers, and read its files.

import type { AccountId, ServerId } from './id.ts';
import { parseModelName } from './model-name.ts';
import { Unreadable } from './sentences.ts';

/** Presented to a server: header lines in a file, or text that is stored encrypted (sealed-secret.ts). */
export type ServerSecret =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'stored'; readonly sealed: string; readonly setAt: number };

export interface ModelServer {
  readonly id: ServerId;
  readonly name: string;
  /** In the form of `readServerAddress`. */
  readonly address: string;
  /** Null: detected by probing the server. */
  readonly kind: string | null;
  /** Its share of calls relative to equally good servers; 1 is usual. */
  readonly weight: number;
  /** Concurrent calls by model; `*` stands for every other model. Null: the gateway's settings apply. */
  readonly slots: Readonly<Record<string, number>> | null;
  readonly secret: ServerSecret | null;
  /** Names of files in the directory of the setting `server_files`. */
  readonly caFile: string | null;
  readonly certificateFile: string | null;
  readonly keyFile: string | null;
  /** Who may use it: accounts with one of these plans, and these accounts. Both null: everybody. */
  readonly plans: readonly string[] | null;
  readonly accounts: readonly AccountId[] | null;
  /** It gets no new calls. */
  readonly maintenance: boolean;
  readonly createdAt: number;
  readonly changedAt: number;
  readonly version: number;
}

/** The most servers that can be stored. */
export const mostServers = 500;

/** All other models. */
export const anyModel = '*';

/**
 * Normalises an address for comparison: without a trailing slash or `/v1`.
 * @throws a sentence for an invalid address.
 */
export function readServerAddress(text: string): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) throw new Unreadable('server_address_shape', {});
  if (url.username !== '' || url.password !== '') throw new Unreadable('server_address_user', {});
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(text)) throw new Unreadable('server_address_end', {});
  return url.origin + url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '').replace(/\/+$/, '');
}

/** @throws a sentence for an invalid weight. */
export function readWeight(weight: number): number {
  if (!(weight >= 0.01 && weight <= 100)) throw new Unreadable('server_weight', {});
  return weight;
}

/** Slots by the canonical names of models, and by `*`. @throws a sentence for an unreadable model or number. */
export function readSlots(slots: Readonly<Record<string, number>>): Record<string, number> {
  const entries = Object.entries(slots).map(([model, count]): [string, number] => {
    const name = model === anyModel ? anyModel : parseModelName(model)?.canonical;
    if (name === undefined) throw new Unreadable('model_name_shape', { name: model.slice(0, 200) });
    if (!Number.isInteger(count) || count < 1 || count > 100_000) throw new Unreadable('server_slots', {});
    return [name, count];
  });
  if (entries.length > 200) throw new Unreadable('server_slots_full', {});
  return Object.fromEntries(entries);
}

/** The concurrent calls of a model on the server; undefined if not configured. */
export const slotsOn = (slots: ModelServer['slots'], canonical: string): number | undefined =>
  slots?.[canonical] ?? slots?.[anyModel];

/** The facts about a caller that servers' restrictions depend on. */
export interface Reaching {
  readonly accountId: AccountId;
  /** The name of a plan; undefined for an account without limits. */
  readonly plan: string | undefined;
}

/** Whether the caller may use the server. */
export const mayReach = (
  { plans, accounts }: Pick<ModelServer, 'plans' | 'accounts'>,
  { accountId, plan }: Reaching,
): boolean =>
  (plans === null && accounts === null) ||
  accounts?.includes(accountId) === true ||
  (plan !== undefined && plans?.includes(plan) === true);
