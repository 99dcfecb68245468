// The audit log: who changed what, from what, to what, when. The store writes an event together with the change it tells
// of; this file lists them.
import type { Store } from '../../store/ports/store.ts';

/** The newest first. */
export async function listAudit(
  store: Store,
  subject: string | undefined,
  limit: number,
  before?: string,
): Promise<Readonly<Record<string, unknown>>[]> {
  const of = subject === undefined ? {} : { subject };
  const events = await store.listAudit({ ...of, ...(before === undefined ? {} : { before }), limit });
  return events.map((event) => ({ ...event, at: new Date(event.at).toISOString() }));
}
