// The audit log: who changed what, from what, to what, when. The store writes an event together with the change it tells
// of; this file lists them.
import type { z } from 'zod';
import { iso } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import type { auditSchema } from './schemas.ts';

/** The newest first. */
export async function listAudit(
  store: Store,
  subject: string | undefined,
  limit: number,
  before?: string,
): Promise<z.output<typeof auditSchema>[]> {
  const of = subject === undefined ? {} : { subject };
  const events = await store.listAudit({ ...of, ...(before === undefined ? {} : { before }), limit });
  return events.map((event) => ({ ...event, at: iso(event.at) }));
}
