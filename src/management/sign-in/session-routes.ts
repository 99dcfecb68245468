// Where a person is signed in, and ending it there. Ours and not the library's, which gives a page the tokens of all sessions.
import { z } from 'zod';
import { iso, type WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { Problem } from '../http/problem.ts';
import type { OwnRoute, OwnRouteRequest, Session } from './own-route.ts';
import { longestMs } from './sessions.ts';

export const endSessionBody = z.object({ id: z.string().max(100) });

export interface SessionRouteTools {
  readonly store: Pick<Store, 'listSessions' | 'endSession' | 'endOtherSessions'>;
  readonly now: () => WallMs;
}

export function sessionRoutes({ store, now }: SessionRouteTools): Readonly<Record<string, OwnRoute>> {
  return {
    '/list-sessions': async (asked) => {
      const { id, personId } = requireSession(asked);
      const visits = await store.listSessions(personId, now());
      return {
        json: visits
          .filter(({ createdAt }) => now() - createdAt <= longestMs)
          .map(({ createdAt, activeAt, expiresAt, ...visit }) => ({
            ...visit,
            createdAt: iso(createdAt),
            activeAt: iso(activeAt),
            expiresAt: iso(Math.min(expiresAt, createdAt + longestMs)),
            here: visit.id === id,
          })),
      };
    },
    '/revoke-session': async (asked) => {
      const { personId } = requireSession(asked);
      const { id } = asked.body as z.output<typeof endSessionBody>;
      if (!(await store.endSession(personId, id))) throw new Problem('not_found');
      return { json: { status: true } };
    },
    '/revoke-other-sessions': async (asked) => {
      const { id, personId } = requireSession(asked);
      await store.endOtherSessions(personId, id);
      return { json: { status: true } };
    },
  };
}

/** @throws Problem. */
function requireSession({ session }: OwnRouteRequest): Session {
  if (!session) throw new Problem('unauthenticated');
  return session;
}
