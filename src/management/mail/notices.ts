// Letters that nobody asks for: an application was decided, a step was taken, an appeal was answered, a key is about to expire.
// Looked for in the store every so often, so that it does not matter which process made the change. Each has a state in the
// store: it is due until a mail server has taken it, and in hand for a minute at a time while this process is at it. So a
// process that is killed in between loses none: the next sends it, and a letter that a server took in that very moment comes
// twice. What nobody can tell apart afterwards is told twice sooner than never.
import { randomUUID } from 'node:crypto';
import type { Account } from '../../domain/account.ts';
import { nobodysMailbox, type Person } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import type { Delivery, LetterAbout, Post } from './mail-templates.ts';

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
/** Longer than a few looks, each of which takes what is in hand anew. */
const inHandMs = 60_000;
/** Of each kind at a look; the others come at the next. */
const mostAtOnce = 200;

export class Notices {
  readonly #tools: NoticeTools;
  readonly #onError: (error: unknown) => void;
  readonly #owner = randomUUID();
  /** What this process sends now, and what became of it as long as that is not in the store. */
  readonly #inHand = new Map<string, Delivery | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #running = Promise.resolve();

  constructor(tools: NoticeTools, onError: (error: unknown) => void) {
    this.#tools = tools;
    this.#onError = onError;
    if (!tools.post.delivers) return;
    this.#timer = setInterval(() => void this.look(), everyMs);
    this.#timer.unref();
    // What an earlier process has left undone is late already.
    void this.look();
  }

  /** Looks once; a look that is going on is waited for. */
  look(): Promise<void> {
    this.#running = this.#running.then(() => this.#look()).catch(this.#onError);
    return this.#running;
  }

  /** No letter is begun any more; those on their way may still end. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  /** What became of each letter is in the store. To be called when the post is settled. */
  settle(): Promise<void> {
    this.#running = this.#running.then(() => this.#settle()).catch(this.#onError);
    return this.#running;
  }

  /** Writes down what became of letters; what cannot be written is tried again at the next look, and not sent again here. */
  async #settle(): Promise<void> {
    const { store, now } = this.#tools;
    for (const [notice, how] of this.#inHand) {
      if (how === undefined) continue;
      if (how === 'unsent') await store.dropNotice(notice, this.#owner);
      else await store.finishNotice(notice, now());
      this.#inHand.delete(notice);
    }
  }

  async #look(): Promise<void> {
    const { store, portal, now } = this.#tools;
    const page = (path: string): string => new URL(`/portal/${path}`, portal).href;
    const since = now() - newsMs;
    await this.#settle();
    for (const { id, status, email, language, decision } of await store.decisionsToTell(since, mostAtOnce)) {
      if (status === 'pending') continue;
      await this.#tell(`${id} decided`, { email, language }, { kind: status, url: page('home'), word: decision });
    }
    for (const step of await store.stepsToTell(since, mostAtOnce)) {
      const { id, accountId, createdAt, reason, endsAt, answer, answeredAt, liftedAt } = step;
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
    await this.#tell(notice, person ?? { email: nobodysMailbox, language: null }, about);
  }

  async #tell(
    notice: string,
    { email, language }: Pick<Person, 'email' | 'language'>,
    about: LetterAbout,
  ): Promise<void> {
    const { store, post, now } = this.#tools;
    const isOurs = this.#inHand.has(notice);
    // Without room in that mailbox it stays due.
    if (!isOurs && !post.hasRoom(about.kind, email)) return;
    const at = now();
    if (!(await store.claimNotice(notice, { owner: this.#owner, at, until: at + inHandMs })) || isOurs) return;
    if (email.endsWith(nobodysMailbox)) {
      await store.finishNotice(notice, at);
      return;
    }
    this.#inHand.set(notice, undefined);
    post.send({ to: email, language, about }, (how) => {
      this.#inHand.set(notice, how);
      void this.settle();
    });
  }
}
