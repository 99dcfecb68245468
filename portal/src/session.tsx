// The current session, requested once and available to every page.
import { Center, Loader } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState } from 'react';
import { useGet } from './api.ts';
import type { Session } from './api-types.ts';
import { noteAccent } from './shell/accent.ts';
import { signInAgain } from './shell/again.ts';
import { Trouble } from './shell/trouble.tsx';
import { noteGateZone } from './shell/zone.ts';
import { i18n } from './words.ts';

interface Known {
  readonly session: Session;
  /** Refetches after signing in or out, or after a change of the session. */
  readonly refresh: () => Promise<void>;
  /** May change shared objects. */
  readonly operates: boolean;
  /** May see shared objects. */
  readonly reads: boolean;
}

const Context = createContext<Known | undefined>(undefined);

export function SessionProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const asked = useGet<Session>('/session');
  const client = useQueryClient();
  const [session, setSession] = useState<Session>();
  /** Set while a sign-in or sign-out is expected to change the person. */
  const expected = useRef(false);
  useEffect(() => {
    if (!asked.data) return;
    noteGateZone(asked.data.gate.timeZone);
    noteAccent(asked.data.gate.accentColor);
    // The session has expired: the page stays and asks for a sign-in.
    if (session?.person && !asked.data.person && !expected.current) void signInAgain('over');
    else setSession(asked.data);
  }, [asked.data, session]);
  // An operator who views the pages of somebody else keeps their own language.
  const language = session?.view ? undefined : session?.person?.language;
  useEffect(() => {
    if (language !== undefined && language !== null && language !== i18n.language) void i18n.changeLanguage(language);
  }, [language]);
  const known = useMemo<Known | undefined>(() => {
    if (!session) return undefined;
    const role = session.account?.role;
    return {
      session,
      refresh: async () => {
        const others = { predicate: ({ queryKey }: { queryKey: readonly unknown[] }) => queryKey[0] !== '/session' };
        expected.current = true;
        await client.refetchQueries({ queryKey: ['/session'] });
        setSession(client.getQueryData<Session>(['/session', {}]) ?? session);
        expected.current = false;
        // All cached data belongs to the previous person.
        client.removeQueries({ ...others, type: 'inactive' });
        await client.invalidateQueries(others);
      },
      operates: role === 'operator',
      reads: role === 'operator' || role === 'auditor',
    };
  }, [session, client]);
  if (known) return <Context.Provider value={known}>{children}</Context.Provider>;
  return (
    <Center mih="60vh" p="md">
      {asked.error ? (
        <Trouble problem={asked.error} retry={() => void asked.refetch()} />
      ) : (
        <Loader aria-label={i18n.t('loading')} />
      )}
    </Center>
  );
}

export function useSession(): Known {
  const known = useContext(Context);
  if (!known) throw new Error('outside of the session');
  return known;
}
