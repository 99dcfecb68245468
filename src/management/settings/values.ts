// Values of settings on their way in and out: read by the schemas that the start reads them by, sealed where they are secret, and
// opened again.
import { SealUnusable, seal, unseal } from '../../domain/sealed-secret.ts';
import { Secret } from '../../domain/secret.ts';
import { say } from '../../domain/sentences.ts';
import { isSealed, type StoredSettings, type StoredValue } from '../../domain/setting-change.ts';
import type { LiveSetting } from '../../settings/kinds.ts';
import { type LiveKey, liveKeyOf, liveSettings } from '../../settings/live-table.ts';
import { hasPassword } from '../../settings/smtp.ts';
import { Fault } from '../fault.ts';
import { Problem } from '../http/problem.ts';
import { saidOf } from '../http/read-input.ts';
import { sealingKeysFrom } from '../servers/sealing.ts';

export type Values = Readonly<Record<string, StoredValue>>;

export const settingOf = (key: LiveKey): LiveSetting => liveSettings[key];

/** A setting of a group by its name. @throws Fault. */
export function requireKey(group: string, name: string): LiveKey {
  const key = liveKeyOf(name);
  if (key === undefined || settingOf(key).group !== group) throw new Fault('setting_missing', { name }, 'not_found');
  return key;
}

/** The value as it is stored; undefined where there is nothing to store. @throws Fault, Problem. */
export function readValue(key: LiveKey, value: unknown, keyFile: string): StoredValue | undefined {
  const { name, schema, fallback, secret } = settingOf(key);
  // Coercing would make a number of nothing at all.
  const isNumber = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '');
  if (typeof fallback === 'number' && !isNumber) {
    const said = say('field_type', { at: name });
    throw new Problem('invalid', { said, errors: [{ at: `body.values.${name}`, said }] });
  }
  const result = schema.safeParse(value, { reportInput: true });
  if (!result.success) {
    const errors = result.error.issues.map((issue) => ({ at: `body.values.${name}`, said: saidOf(issue, name) }));
    throw new Problem('invalid', { said: errors[0]?.said ?? say('field_refused', { at: name }), errors });
  }
  const read = result.data as StoredValue;
  if (key === 'smtpUrl' && typeof read === 'string' && hasPassword(read))
    throw new Fault('setting_password_in_address', {});
  if (secret !== true || typeof read !== 'string') return read;
  return read === '' ? undefined : { sealed: sealed(name, read, keyFile) };
}

function sealed(name: string, text: string, keyFile: string): string {
  try {
    return seal(sealingKeysFrom(keyFile), ownerOf(name), new Secret(text));
  } catch (error) {
    throw error instanceof SealUnusable ? new Fault('setting_no_seal', { name }, 'conflict') : error;
  }
}

export const ownerOf = (name: string): string => `setting:${name}`;

export interface OpenedValues {
  readonly values: ReadonlyMap<LiveKey, unknown>;
  /** Why stored values cannot be used, by name; their defaults hold. */
  readonly unusable: ReadonlyMap<string, string>;
}

/** What is stored, as the gate works with it. */
export function openValues(rows: readonly Pick<StoredSettings, 'values'>[], keyFile: string): OpenedValues {
  const values = new Map<LiveKey, unknown>();
  const unusable = new Map<string, string>();
  for (const [name, value] of rows.flatMap((row) => Object.entries(row.values))) {
    // A setting of a newer version of the gate.
    const key = liveKeyOf(name);
    if (key === undefined) continue;
    try {
      const plain = isSealed(value) ? unseal(sealingKeysFrom(keyFile), ownerOf(name), value.sealed).reveal() : value;
      values.set(key, settingOf(key).schema.parse(plain));
    } catch (error) {
      unusable.set(name, error instanceof SealUnusable ? error.message : 'this version of the gateway cannot read it');
    }
  }
  return { values, unusable };
}

export const isSame = (one: StoredValue | null | undefined, other: StoredValue | null | undefined): boolean =>
  JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
