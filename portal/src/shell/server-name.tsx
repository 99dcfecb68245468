// The name that operators gave to a model server, in place of the address by which the gateway records it.
import { type ReactNode, useMemo } from 'react';
import { useGet } from '../api.ts';
import type { PageOf, Server } from '../api-types.ts';
import { useSession } from '../session.tsx';

/** Returns the address itself for a server without a name, one that was removed, and for readers who may not see servers. */
export function useServerNames(): (address: string) => string {
  const names = useKnownServers();
  return (address) => names.get(address) ?? address;
}

/** The names by address, as calls are recorded. Several servers behind one address are recorded as one, without a name. */
export function useKnownServers(): ReadonlyMap<string, string> {
  const { reads } = useSession();
  const { data } = useGet<PageOf<Server>>('/servers', {}, undefined, reads);
  return useMemo(() => {
    const found = new Map<string, string>();
    for (const { address, name } of data?.items ?? []) {
      const { origin } = new URL(address);
      found.set(origin, found.has(origin) ? origin : name);
    }
    return found;
  }, [data]);
}

export function ServerName({ address }: { readonly address: string }): ReactNode {
  const nameOf = useServerNames();
  return <span title={address}>{nameOf(address)}</span>;
}
