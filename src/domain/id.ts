// Ids carry their kind in a prefix and in their type, so a key id cannot be passed as an account id.
import { randomFillSync } from 'node:crypto';
import type { WallMs } from './time.ts';

export type KeyId = string & { readonly __kind: 'key' };
export type AccountId = string & { readonly __kind: 'account' };
export type RequestId = string & { readonly __kind: 'request' };
export type SuspensionId = string & { readonly __kind: 'suspension' };
export type ApplicationId = string & { readonly __kind: 'application' };
export type InviteId = string & { readonly __kind: 'invite' };
export type PersonId = string & { readonly __kind: 'person' };
export type AuditId = string & { readonly __kind: 'audit' };
export type ServerId = string & { readonly __kind: 'server' };
export type RouteId = string & { readonly __kind: 'route' };
export type AnnouncementId = string & { readonly __kind: 'announcement' };
export type SettingChangeId = string & { readonly __kind: 'settingChange' };
export type ViewId = string & { readonly __kind: 'view' };
export type NameId = string & { readonly __kind: 'name' };

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

// Random bytes are drawn from the system's generator in bulk: one system call per 4096 bytes instead of one per id.
const pool = Buffer.alloc(4096);
let poolOffset = pool.length;

/**
 * `length` base62 characters from the system's generator, 5.95 bits each. Bytes ≥ 248 (4 × 62) are discarded; keeping
 * them would make the first characters of the alphabet more likely.
 */
export function randomBase62(length: number): string {
  let text = '';
  while (text.length < length) {
    if (poolOffset === pool.length) {
      randomFillSync(pool);
      poolOffset = 0;
    }
    const byte = pool[poolOffset] as number;
    pool[poolOffset++] = 0;
    if (byte < 248) text += alphabet[byte % 62];
  }
  return text;
}

/** A number below 62^length as exactly `length` base62 characters. */
export function toBase62(value: number, length: number): string {
  let text = '';
  for (let rest = value, i = 0; i < length; i++, rest = Math.floor(rest / 62)) text = alphabet[rest % 62] + text;
  return text;
}

/** Whether the text has the form of an account id. Account names must not have this form. */
export const isAccountId = (text: string): text is AccountId => text.startsWith('acc_');

export const newAccountId = (): AccountId => `acc_${randomBase62(12)}` as AccountId;

export const newServerId = (): ServerId => `srv_${randomBase62(12)}` as ServerId;

export const newAnnouncementId = (): AnnouncementId => `ann_${randomBase62(12)}` as AnnouncementId;

export const newViewId = (): ViewId => `view_${randomBase62(20)}` as ViewId;

export const newNameId = (): NameId => `nam_${randomBase62(12)}` as NameId;

export const newRouteId = (): RouteId => `rte_${randomBase62(12)}` as RouteId;

export const newPersonId = (): PersonId => `usr_${randomBase62(16)}` as PersonId;

/** Ids of records that are listed newest first begin with their time, like request ids. */
export const newSuspensionId = (now: WallMs): SuspensionId =>
  `sus_${toBase62(now, 8)}${randomBase62(6)}` as SuspensionId;
export const newApplicationId = (now: WallMs): ApplicationId =>
  `app_${toBase62(now, 8)}${randomBase62(6)}` as ApplicationId;
export const newInviteId = (now: WallMs): InviteId => `inv_${toBase62(now, 8)}${randomBase62(6)}` as InviteId;
export const newPullId = (now: WallMs): string => `pul_${toBase62(now, 8)}${randomBase62(6)}`;
export const newAuditId = (now: WallMs): AuditId => `aud_${toBase62(now, 8)}${randomBase62(8)}` as AuditId;

/** The smallest id of an audit event of that time, for finding events by time; any time that a date can have. */
export const firstAuditId = (at: WallMs): AuditId =>
  `aud_${toBase62(Math.min(Math.max(0, at), 62 ** 8 - 1), 8)}` as AuditId;

export const newSettingChangeId = (now: WallMs): SettingChangeId =>
  `chg_${toBase62(now, 8)}${randomBase62(6)}` as SettingChangeId;

/** The smallest request id of that time, for finding rows by their start time. */
export const firstRequestId = (at: WallMs): RequestId => `req_${toBase62(at, 8)}` as RequestId;

/**
 * Request ids begin with their time (milliseconds, 8 base62 characters, until the year 8888) and end in 71 random bits:
 * new rows go to the end of the ledger's index, and sorting by id is sorting by time.
 */
export const newRequestId = (now: WallMs): RequestId => `req_${toBase62(now, 8)}${randomBase62(12)}` as RequestId;

/** Unix milliseconds of a request id, or of the smallest one of a time. */
export function requestTime(id: string): WallMs {
  let at = 0;
  for (const sign of id.slice(4, 12)) at = at * 62 + alphabet.indexOf(sign);
  return at;
}
