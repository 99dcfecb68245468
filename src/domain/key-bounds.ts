// What one key may grant to another: never more than it has itself. A key that expires, or that is bound to a network,
// to models or to a certificate, creates and changes keys within the same bounds. Pure.
import type { Account } from './account.ts';
import { blockCovers } from './address.ts';
import type { StoredKey } from './api-key.ts';
import { ModelPatterns, parseModelName } from './model-name.ts';
import { type Narrowing, unlimited } from './plan.ts';
import { isManagement } from './scope.ts';

/** The key that creates or changes another. */
export interface Maker {
  readonly key: StoredKey;
  readonly account: Account;
}

/** Whether the key is restricted in a way that makes it safer to lose. */
export const isBound = ({ expiresAt, cidr, models, boundCertificate, narrowing }: StoredKey): boolean =>
  expiresAt !== null ||
  cidr.length > 0 ||
  !models.includes('*') ||
  boundCertificate !== null ||
  Object.keys(narrowing).length > 0;

/**
 * Returns where a key exceeds its maker, as the end of a sentence; undefined if it does not. A key may keep what it had
 * `before`.
 */
export function beyondMaker(
  key: StoredKey,
  account: Account,
  { key: own, account: ownAccount }: Maker,
  before?: StoredKey,
): string | undefined {
  const scope = key.scopes.find(
    (each) => isManagement(each) && !own.scopes.includes(each) && !before?.scopes.includes(each),
  );
  if (scope !== undefined) return `the scope ${scope}, which it does not have`;
  if (!before && account.plan === unlimited && ownAccount.plan !== unlimited)
    return 'a key without limits, and has limits itself';
  if (key.expiresAt !== before?.expiresAt && endOf(key) > endOf(own))
    return `a key that lives longer than it does (until ${new Date(endOf(own)).toISOString()})`;
  if (!same(key.cidr, before?.cidr) && !networksWithin(key.cidr, own.cidr))
    return `a key for other networks than its own (${own.cidr.join(', ')})`;
  if (!same(key.models, before?.models) && !modelsWithin(key.models, own.models))
    return `a key for other models than its own (${own.models.join(', ')})`;
  if (key.boundCertificate !== before?.boundCertificate && !certificateWithin(key, own))
    return 'a key that works without its client certificate';
  const wider = widerLimit(key.narrowing, own.narrowing, before?.narrowing);
  if (wider !== undefined) return `a key whose ${wider} is wider than its own (${own.narrowing[wider]})`;
  return undefined;
}

const endOf = ({ expiresAt }: StoredKey): number => expiresAt ?? Infinity;

const same = (a: readonly string[], b: readonly string[] | undefined): boolean =>
  b !== undefined && a.length === b.length && a.every((each, i) => each === b[i]);

/** The first limit that is wider than the maker's and was changed. */
function widerLimit(limits: Narrowing, own: Narrowing, before?: Narrowing): keyof Narrowing | undefined {
  return (Object.keys(own) as (keyof Narrowing)[]).find((name) => {
    const [asked, mine] = [limits[name], own[name] as number];
    if (before && asked === before[name]) return false;
    // For a minimum, the larger value is the stricter one.
    return asked === undefined || (name === 'minKeepAliveSeconds' ? asked < mine : asked > mine);
  });
}

const certificateWithin = ({ boundCertificate }: StoredKey, own: StoredKey): boolean =>
  own.boundCertificate === null || boundCertificate === own.boundCertificate;

function networksWithin(blocks: readonly string[], own: readonly string[]): boolean {
  if (own.length === 0) return true;
  return blocks.length > 0 && blocks.every((block) => own.some((mine) => blockCovers(mine, block)));
}

/** A pattern is within others if it is one of them, or a single model that they allow. */
function modelsWithin(patterns: readonly string[], own: readonly string[]): boolean {
  const mine = new ModelPatterns(own);
  return (
    mine.all ||
    patterns.every((pattern) => {
      if (own.includes(pattern)) return true;
      const name = pattern.includes('*') ? undefined : parseModelName(pattern);
      return name !== undefined && mine.allow(name);
    })
  );
}
