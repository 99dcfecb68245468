// The audit log: who changed what, from what, to what, when. The store writes an event together with the change it tells
// of; this file finds events and shows them.
import type { z } from 'zod';
import type { AuditEvent } from '../../domain/audit.ts';
import { iso } from '../../domain/time.ts';
import type { AuditFilter, AuditPage } from '../../store/ports/audit.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault } from '../fault.ts';
import { actorName, namesIn } from '../names.ts';
import { auditFilterOf } from './audit-filter.ts';
import type { AskedAudit, auditRowSchema, auditSchema } from './schemas.ts';

/** Rows that a page reads at most: some 30 ms in short pieces. */
const look = 20_000;
/** Rows that an export reads in one go. */
const exportPage = 500;

/** A page of events, the newest first, with the names of everything that they mention by id. */
export async function pageAudit(
  store: Store,
  asked: AskedAudit,
  limit: number,
  before: string | undefined,
): Promise<{ readonly items: readonly z.output<typeof auditSchema>[]; readonly next: string | undefined }> {
  const { events, next } = await store.searchAudit(await auditFilterOf(store, asked), limit, before, look);
  return { items: await showAudit(store, events), next };
}

/** The newest events that match, for the command line. */
export async function listAudit(
  store: Store,
  asked: AskedAudit,
  limit: number,
): Promise<z.output<typeof auditSchema>[]> {
  const found: AuditEvent[] = [];
  for await (const { events } of pagesOfAudit(store, await auditFilterOf(store, asked))) {
    found.push(...events);
    if (found.length >= limit) break;
  }
  return showAudit(store, found.slice(0, limit));
}

/** Every event that matches, a page at a time, as the rows of an export. */
export async function* exportAudit(
  store: Store,
  asked: AskedAudit,
  gone: AbortSignal,
): AsyncGenerator<z.output<typeof auditRowSchema>[]> {
  for await (const { events } of pagesOfAudit(store, await auditFilterOf(store, asked))) {
    if (gone.aborted) return;
    yield (await showAudit(store, events)).map(({ names, ...event }) => ({
      ...event,
      actorName: actorName(names, event.actor),
      subjectName: names[event.subject] ?? event.subject,
    }));
  }
}

/** @throws Fault if there is no such event. */
export async function requireAudit(store: Store, id: string): Promise<z.output<typeof auditSchema>> {
  const event = await store.findAudit(id);
  if (!event) throw new Fault('audit_missing', { id }, 'not_found');
  const [shown] = await showAudit(store, [event]);
  return shown as z.output<typeof auditSchema>;
}

async function* pagesOfAudit(store: Store, filter: AuditFilter): AsyncGenerator<AuditPage> {
  let before: string | undefined;
  do {
    const page = await store.searchAudit(filter, exportPage, before, exportPage);
    yield page;
    before = page.next;
  } while (before !== undefined);
}

async function showAudit(store: Store, events: readonly AuditEvent[]): Promise<z.output<typeof auditSchema>[]> {
  const names = await namesIn(store, events);
  return events.map((event) => {
    const text = JSON.stringify(event);
    const mentioned = Object.entries(names).filter(([id]) => text.includes(id));
    return { ...event, at: iso(event.at), names: Object.fromEntries(mentioned) };
  });
}
