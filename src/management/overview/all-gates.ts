// Adds up what all gates of the database do now, with where each account's calls are.
import type { AccountNow, GateNow } from '../../domain/introspection.ts';

export interface AccountAtGates extends AccountNow {
  /** The other gates with its calls, by name. */
  readonly elsewhere: string[];
}

/** Gates on one host have the beginning of their id in their name. */
export function namesOf(gates: readonly Pick<GateNow, 'id' | 'host'>[]): string[] {
  const hosts = gates.map(({ host }) => host);
  return gates.map(({ id, host }) =>
    hosts.indexOf(host) === hosts.lastIndexOf(host) ? host : `${host} (${id.slice(0, 6)})`,
  );
}

export function addAccounts(here: readonly AccountNow[], others: readonly GateNow[]): AccountAtGates[] {
  const found = new Map<string, AccountAtGates>(here.map((each) => [each.account, { ...each, elsewhere: [] }]));
  const names = namesOf(others);
  others.forEach(({ accounts }, at) => {
    for (const each of accounts) {
      const sum = found.get(each.account);
      const isThere = each.running + each.waiting > 0;
      found.set(each.account, {
        account: each.account,
        running: (sum?.running ?? 0) + each.running,
        waiting: (sum?.waiting ?? 0) + each.waiting,
        tokensPerSecond: Math.round(((sum?.tokensPerSecond ?? 0) + each.tokensPerSecond) * 10) / 10,
        elsewhere: [...(sum?.elsewhere ?? []), ...(isThere ? [names[at] as string] : [])],
      });
    }
  });
  return [...found.values()].toSorted(
    (a, b) => b.running + b.waiting - a.running - a.waiting || b.tokensPerSecond - a.tokensPerSecond,
  );
}
