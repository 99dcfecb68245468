// Opens, finds and ends the sessions of people and the challenges of their second steps, as the library stores them.
import type { PersonId } from '../../domain/id.ts';
import { ageOf, type WallMs } from '../../domain/time.ts';
import { Problem } from '../http/problem.ts';
import type { Library } from './library.ts';
import { aheadBy } from './library-clock.ts';
import { withCause } from './library-errors.ts';
import type { CookieNames, OpenSession, Session } from './own-route.ts';

/** A session ends after a week, even if it is used. */
export const longestMs = 7 * 24 * 3600 * 1000;
/** Calls that grant rights require a sign-in that is not older. */
const freshMs = 10 * 60_000;

export const pairOf = (line: string): string => line.split(';', 1)[0] ?? '';

interface Challenge {
  readonly identifier: string;
  readonly personId: PersonId;
}

export class Sessions {
  readonly #library: () => Promise<Library>;
  readonly #cookies: CookieNames;
  readonly #now: () => WallMs;

  constructor(library: () => Promise<Library>, cookies: CookieNames, now: () => WallMs) {
    this.#library = library;
    this.#cookies = cookies;
    this.#now = now;
  }

  /** The session of these cookies; undefined if there is none, or if it is a week old. The library's dates are by this machine's clock. */
  async of(header: string): Promise<Session | undefined> {
    const found = await this.find(header);
    if (!found) return undefined;
    const { user, session } = found;
    const now = Date.now();
    if (ageOf(session.createdAt.getTime(), now) > longestMs) {
      await this.end(session.token);
      return undefined;
    }
    const { provenAt } = session as { readonly provenAt?: Date | null };
    const proven = (provenAt ?? session.createdAt).getTime();
    return { id: session.id, personId: user.id as PersonId, fresh: ageOf(proven, now) < freshMs };
  }

  /** As stored by the library, whatever its age. */
  async find(header: string): Promise<Awaited<ReturnType<Library['api']['getSession']>>> {
    const cookie = this.#cookies.only(header, ['session_token']);
    if (cookie === '') return null;
    const headers = new Headers({ cookie });
    const { api } = await this.#library();
    // Reading a session sometimes renews it in the store. If the store cannot be written (a full disk, another writer), the
    // session is
    // still read, so that the person who has to fix that can sign in.
    return withCause(() => api.getSession({ headers })).catch(() =>
      withCause(() => api.getSession({ headers, query: { disableRefresh: true } })),
    );
  }

  readonly open: OpenSession = async (id, from, still, provenAt) => {
    const proven = provenAt === undefined ? {} : { provenAt: provenAt - aheadBy(this.#now) };
    const body = { personId: id, ...from, ...proven };
    const { headers } = await (await this.#library()).api.openSession({ body, returnHeaders: true });
    const lines = headers.getSetCookie().map((line) => this.#cookies.lasting(line, longestMs / 1000));
    if (still === undefined || (await still())) return lines;
    const found = await this.find(lines.map(pairOf).join('; '));
    if (found) await this.end(found.session.token);
    throw new Problem('unauthenticated');
  };

  async end(token: string): Promise<void> {
    await (await this.#stored()).deleteSession(token);
  }

  /** Ends a session like a sign-out by its person. */
  async signOut(token: string): Promise<void> {
    const headers = new Headers({ cookie: `${this.#cookies.prefix}.session_token=${token}` });
    const { api } = await this.#library();
    await withCause(() => api.signOut({ headers }));
  }

  /** `Set-Cookie` lines that start a second step. */
  async openChallenge(personId: PersonId): Promise<string[]> {
    const { headers } = await (await this.#library()).api.openChallenge({ body: { personId }, returnHeaders: true });
    return headers.getSetCookie();
  }

  /** The second step that a cookie names. The library checks the signature of the cookie. */
  async findChallenge(header: string): Promise<Challenge | undefined> {
    const value = this.#cookies.read(header, 'two_factor');
    if (value === undefined || value === '') return undefined;
    const identifier = value.slice(0, Math.max(0, value.search(/\.|%2e/i)));
    const row = await (await this.#stored()).findVerificationValue(identifier);
    return row ? { identifier, personId: row.value as PersonId } : undefined;
  }

  async endChallenge({ identifier }: Challenge): Promise<void> {
    await (await this.#stored()).deleteVerificationByIdentifier(identifier);
  }

  async personWith(email: string): Promise<PersonId | undefined> {
    const found = await (await this.#stored()).findUserByEmail(email.toLowerCase());
    return found?.user.id as PersonId | undefined;
  }

  /** The library's rows. */
  async #stored() {
    return (await (await this.#library()).$context).internalAdapter;
  }
}
