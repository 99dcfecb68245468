// Records failed sign-ins and refused management calls in the audit log, merged by source and minute, so that an attacker fills
// neither the disk nor the list. The tried password or key is never read; an address or id is only recorded if it exists here.
import type { Request, Response } from 'express';
import { networkOf } from '../../domain/address.ts';
import { readKeyId } from '../../domain/api-key.ts';
import { normalEmail } from '../../domain/application.ts';
import { auditEvent, refusalActions } from '../../domain/audit.ts';
import type { KeyId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';

/** Limits of rows per minute, in total and for one network; further attempts are counted in a common row. */
const maxRows = { all: 20, network: 5 } as const;

interface Counted {
  readonly action: (typeof refusalActions)[number];
  readonly network: string;
  readonly whose: Whose;
  readonly what: string;
  readonly status: number;
  count: number;
}

/** Whom the attempt concerned, as far as the request tells; looked up before it is written. */
type Whose = { readonly key?: KeyId; readonly mailbox?: string; readonly id?: string };

export class RefusedAttempts {
  readonly #store: Pick<Store, 'insertAudit' | 'findKey' | 'findPersonByEmail'>;
  readonly #now: () => WallMs;
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #counts = new Map<string, Counted>();
  #writing = Promise.resolve();

  constructor(
    store: Pick<Store, 'insertAudit' | 'findKey' | 'findPersonByEmail'>,
    now: () => WallMs,
    onError: (error: unknown) => void,
  ) {
    this.#store = store;
    this.#now = now;
    this.#onError = onError;
    this.#timer = setInterval(() => void this.flush(), 60_000).unref();
  }

  /** Counts a request of the management API that was refused. */
  noteCall(address: string, request: Request, response: Response): void {
    const { statusCode: status } = response;
    const { authorization, 'x-api-key': apiKey, cookie } = request.headers;
    const shown = authorization !== undefined || apiKey !== undefined || cookie !== undefined;
    // A 401 to a request without a credential comes from a page that is open without a session.
    if (status !== 403 && status !== 429 && !(status === 401 && shown)) return;
    const caller = response.locals['caller'] as { readonly id: string } | undefined;
    const text = typeof apiKey === 'string' ? apiKey : (authorization ?? '').replace(/^bearer\s+/i, '');
    const key = readKeyId(text);
    const whose = caller && caller.id !== '' ? { id: caller.id } : key === undefined ? {} : { key };
    const route = (request.route as { readonly path?: unknown } | undefined)?.path;
    const what = `${request.method} ${typeof route === 'string' ? route : ''}`.trim();
    this.#count({ action: 'call.refused', network: networkOf(address), whose, what, status });
  }

  /** Counts a failed sign-in. */
  noteSignIn(address: string, request: Request, response: Response): void {
    const { statusCode: status } = response;
    const location = response.getHeader('location');
    const failed =
      [400, 401, 403, 422, 429].includes(status) ||
      (status === 302 && typeof location === 'string' && /[?&]error=/.test(location));
    if (!failed) return;
    const what = (request.originalUrl.split('?', 1)[0] ?? '').replace('/portal/auth', '').slice(0, 60);
    const mailbox = mailboxIn(request.body);
    const whose = mailbox === undefined ? {} : { mailbox };
    this.#count({ action: 'sign-in.refused', network: networkOf(address), whose, what, status });
  }

  /** Writes the counts, so that an operator who opens the audit log sees them. */
  flush(): Promise<void> {
    const counts = [...this.#counts.values()];
    this.#counts = new Map();
    this.#writing = this.#writing.then(() => this.#write(counts)).catch(this.#onError);
    return this.#writing;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  #count(tried: Omit<Counted, 'count'>): void {
    const keyOf = ({ action, network, whose, what, status }: Omit<Counted, 'count'>): string =>
      JSON.stringify([action, network, whose, what, status]);
    const found = this.#counts.get(keyOf(tried));
    if (found) {
      found.count++;
      return;
    }
    const mine = [...this.#counts.values()].filter(({ network }) => network === tried.network).length;
    // One place is reserved for the common row.
    const room = this.#counts.size < maxRows.all - refusalActions.length;
    const merged: Omit<Counted, 'count'> = room
      ? mine < maxRows.network
        ? tried
        : { ...tried, whose: {}, what: 'several', status: 0 }
      : { ...tried, network: 'several', whose: {}, what: 'several', status: 0 };
    const key = keyOf(merged);
    const other = this.#counts.get(key);
    if (other) other.count++;
    else this.#counts.set(key, { ...merged, count: 1 });
  }

  async #write(counts: readonly Counted[]): Promise<void> {
    for (const { action, network, whose, what, status, count } of counts) {
      const subject = (await this.#idOf(whose)) ?? '-';
      const tried = { what, ...(status === 0 ? {} : { status }), count };
      const author = { actor: `address:${network}`, at: this.#now() };
      await this.#store.insertAudit(auditEvent(author, action, subject, null, tried));
    }
  }

  async #idOf({ key, mailbox, id }: Whose): Promise<string | undefined> {
    if (key !== undefined) return (await this.#store.findKey(key))?.id;
    if (mailbox !== undefined) return (await this.#store.findPersonByEmail(mailbox))?.id;
    return id;
  }
}

function mailboxIn(body: unknown): string | undefined {
  try {
    const { email } = (typeof body === 'string' ? JSON.parse(body) : body) as { readonly email?: unknown };
    return typeof email === 'string' ? normalEmail(email) : undefined;
  } catch {
    return undefined;
  }
}
