// Lists the audit log: who changed what, from what, to what, and when. The store writes an event together with its change.
import type { z } from 'zod';
import { iso } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { namesIn } from '../names.ts';
import type { auditSchema } from './schemas.ts';

export interface AuditQuestion {
  readonly subject?: string | undefined;
  /** An id or a name of a subject, or a part of the name or the email address of an account, a key or a person. */
  readonly search?: string | undefined;
  readonly limit: number;
  readonly before?: string | undefined;
}

/** How many subjects of each kind a search can match; a search for one letter would otherwise cause a huge query. */
const mostFound = 100;

/** The newest first, with the names of everything that the events mention by id. */
export async function listAudit(
  store: Store,
  { subject, search, limit, before }: AuditQuestion,
): Promise<z.output<typeof auditSchema>[]> {
  const events = await store.listAudit({
    ...(subject === undefined ? {} : { subject }),
    ...(search === undefined || search === ''
      ? {}
      : { subjects: [search, ...(await store.idsNamed(search, mostFound))] }),
    ...(before === undefined ? {} : { before }),
    limit,
  });
  const names = await namesIn(store, events);
  return events.map((event) => {
    const text = JSON.stringify(event);
    const mentioned = Object.entries(names).filter(([id]) => text.includes(id));
    return { ...event, at: iso(event.at), names: Object.fromEntries(mentioned) };
  });
}
