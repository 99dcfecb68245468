// Pulls of models as people and programs read them.
import type { z } from 'zod';
import { type Author, auditEvent } from '../../domain/audit.ts';
import type { Pull, PullProgress, StoredPull } from '../../domain/server-models.ts';
import { iso } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault } from '../fault.ts';
import { actorName, namesIn } from '../names.ts';
import type { pullSchema } from './schemas.ts';

/** Those that run, and the newest of those that have ended. */
const mostShown = 50;

export async function listPulls(
  store: Store,
  progress: ReadonlyMap<string, PullProgress>,
): Promise<z.output<typeof pullSchema>[]> {
  const pulls = await store.listPulls(mostShown);
  return showPulls(
    store,
    pulls.map((pull) => ({ ...pull, progress: progress.get(pull.id) ?? null })),
  );
}

/** As it is stored, without its progress. @throws Fault if there is no such pull. */
export async function requirePull(store: Store, id: string): Promise<z.output<typeof pullSchema>> {
  const pull = await store.findPull(id);
  if (!pull) throw new Fault('pull_missing', { id }, 'not_found');
  const [shown] = await showPulls(store, [{ ...pull, progress: null }]);
  return shown as z.output<typeof pullSchema>;
}

export async function showPulls(store: Store, pulls: readonly Pull[]): Promise<z.output<typeof pullSchema>[]> {
  const names = await namesIn(
    store,
    pulls.map(({ startedBy }) => startedBy),
  );
  return pulls.map(({ id, server, model, state, startedBy, startedAt, endedAt, error, progress }) => ({
    id,
    server,
    model,
    state,
    startedBy,
    startedByName: actorName(names, startedBy),
    startedAt: iso(startedAt),
    endedAt: iso(endedAt),
    error,
    progress,
  }));
}

export async function insertPulls(store: Store, pulls: readonly StoredPull[], author: Author): Promise<void> {
  for (const pull of pulls)
    await store.insertPull(pull, auditEvent(author, 'model.pull', pull.model, null, { server: pull.server }));
}
