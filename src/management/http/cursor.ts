// Splits lists into pages. A cursor has the last entry that was returned, not an offset, so a growing list neither repeats nor
// skips entries. It is opaque to clients and parsed strictly.
import { say } from '../../domain/sentences.ts';
import type { Page } from '../../store/ports/page.ts';
import { Problem } from './problem.ts';

interface Asked {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

interface Pageful<T> {
  readonly items: T[];
  readonly next: string | null;
}

/** A page of a list in order of creation. */
export async function pageAfter<T extends { readonly createdAt: number; readonly id: string }, S>(
  { limit, cursor }: Asked,
  list: (page: Page) => Promise<T[]>,
  show: (item: T) => Promise<S>,
): Promise<Pageful<S>> {
  const after = cursor === undefined ? undefined : readPlace(cursor);
  const found = await list(after ? { after, limit: limit + 1 } : { limit: limit + 1 });
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  const next = found.length > limit && last ? write(`${last.createdAt} ${last.id}`) : null;
  return { items: await Promise.all(shown.map(show)), next };
}

/** A page of a list with the newest first, by ids that start with their time. */
export async function pageBefore<T extends { readonly id?: unknown }, S>(
  { limit, cursor }: Asked,
  list: (page: { readonly limit: number; readonly before?: string }) => Promise<T[]>,
  show: (item: T) => S,
): Promise<Pageful<S>> {
  const before = cursor === undefined ? undefined : readId(cursor);
  const found = await list(before === undefined ? { limit: limit + 1 } : { limit: limit + 1, before });
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(show), next: found.length > limit && last ? write(String(last.id)) : null };
}

/** The cursor for an id. */
export const writeId = (id: string): string => write(id);

function write(text: string): string {
  return Buffer.from(text).toString('base64url');
}

function readPlace(cursor: string): { at: number; id: string } {
  const match = /^(\d{1,16}) ([A-Za-z0-9_]{1,60})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  if (!match) throw new Problem('invalid', { said: say('cursor_foreign', {}) });
  return { at: Number(match[1]), id: match[2] as string };
}

/** The id in a cursor. @throws Problem `invalid`. */
export function readId(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('latin1');
  if (!/^[a-z]{3}_[A-Za-z0-9]{1,60}$/.test(id)) throw new Problem('invalid', { said: say('cursor_foreign', {}) });
  return id;
}
