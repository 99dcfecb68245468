// Letters that nobody asks for: an application was decided, a step was taken, an appeal was answered, a key is about to expire.
// Looked for in the store every so often, so that it does not matter which process made the change; each is written down before
// it is sent, so that none is sent twice.
import type { Account } from '../domain/account.ts';
import { nobodysMailbox, type Person } from '../domain/person.ts';
import type { WallMs } from '../domain/time.ts';
import type { Store } from '../store/ports.ts';
import type { LetterAbout, Post } from './post.ts';

export interface NoticeTools {
  readonly store: Store;
  readonly post: Post;
  readonly portal: URL;
  readonly now: () => WallMs;
}

const everyMs = 15_000;
const soonMs = 7 * 86_400_000;
/** Older things are no news. */
const newsMs = 24 * 3_600_000;

export class Notices {
  readonly #tools: NoticeTools;
  readonly #onError: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #running = Promise.resolve();

  constructor(tools: NoticeTools, onError: (error: unknown) => void) {
    this.#tools = tools;
    this.#onError = onError;
    if (!tools.post.delivers) return;
    this.#timer = setInterval(() => void this.look(), everyMs);
    this.#timer.unref();
  }

  /** Looks once; a look that is going on is waited for. */
  look(): Promise<void> {
    this.#running = this.#running.then(() => this.#look()).catch(this.#onError);
    return this.#running;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #look(): Promise<void> {
    const { store, portal, now } = this.#tools;
    const page = (path: string): string => new URL(`/portal/${path}`, portal).href;
    const since = now() - newsMs;
    for (const application of await store.listApplications({ limit: 200 })) {
      const { id, status, decidedAt, decidedBy, email, language, decision } = application;
      if (status === 'pending' || decidedAt === null || decidedAt < since || email === '') continue;
      // Whom a rule let in at once saw it happen, unless he had to confirm his address first.
      if (decidedBy?.startsWith('registration:') && application.confirmedAt === null) continue;
      await this.#tell(`${id} decided`, { email, language }, { kind: status, url: page('home'), word: decision });
    }
    for (const step of await store.listSuspensions({ limit: 200 })) {
      const { id, accountId, shadow, createdAt, reason, endsAt, answer, answeredAt, liftedAt } = step;
      if (shadow) continue;
      if (createdAt >= since && step.step !== 'warn' && liftedAt === null)
        await this.#tellAccount(`${id} taken`, accountId, { kind: 'suspended', url: page('home'), reason, endsAt });
      if (answer !== null && answeredAt !== null && answeredAt >= since)
        await this.#tellAccount(`${id} answered`, accountId, {
          kind: 'answered',
          url: page('home'),
          word: answer,
          lifted: liftedAt !== null,
        });
    }
    for (const key of await store.keysExpiring(now(), now() + soonMs)) {
      // A key that lives shorter than the warning, and one that was replaced, end as they were meant to.
      if (key.expiresAt === null || key.expiresAt - key.createdAt < 2 * soonMs) continue;
      await this.#tellAccount(`${key.id} expiring`, key.accountId, {
        kind: 'expiring',
        url: page('keys'),
        key: key.name,
        endsAt: key.expiresAt,
      });
    }
  }

  async #tellAccount(notice: string, accountId: Account['id'], about: LetterAbout): Promise<void> {
    const person = await this.#tools.store.findPersonOf(accountId);
    if (person) await this.#tell(notice, person, about);
  }

  async #tell(
    notice: string,
    { email, language }: Pick<Person, 'email' | 'language'>,
    about: LetterAbout,
  ): Promise<void> {
    const { store, post, now } = this.#tools;
    if (email.endsWith(nobodysMailbox) || !(await store.claimNotice(notice, now()))) return;
    post.send({ to: email, language, about });
  }
}
