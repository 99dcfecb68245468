// Does what changes led to: sends the emails of the outbox. A row is claimed for a minute at a time while this process is at it,
// and due until a mail server has taken the email. So a process that is killed in between loses none: the next sends it,
// and an email that a server took in that very moment comes twice. The two cases cannot be told apart afterwards, and
// twice is better than never. A row that cannot be done now is due later and holds up no other.
import { randomUUID } from 'node:crypto';
import { expiryEmail } from '../../domain/outbox.ts';
import type { WallMs } from '../../domain/time.ts';
import type { StoredConsequence } from '../../store/ports/outbox.ts';
import type { Store } from '../../store/ports/store.ts';
import type { LinkCodes } from '../people/link-codes.ts';
import { composeEmail } from './compose-email.ts';
import type { Delivery, Mailer } from './mailer.ts';

export interface OutboxTools {
  readonly store: Store;
  readonly mailer: Mailer;
  readonly portal: URL;
  readonly codes: LinkCodes;
  readonly now: () => WallMs;
}

const everyMs = 15_000;
const soonMs = 7 * 86_400_000;
/** Older things are no news. */
const newsMs = 24 * 3_600_000;
/** Longer than a few looks, each of which keeps what is in hand. */
const inHandMs = 60_000;
/** Rows at a look; the others come at the next. */
const mostAtOnce = 200;
/** Fewer than the mailer takes, so that a mail server that does not answer never makes it refuse. */
const mostInHand = 500;
const noRoomMs = 5 * 60_000;
/** After the mailer has given up for now, which takes it several minutes; doubled each time. */
const againMs = 10 * 60_000;
const longestPauseMs = 6 * 3_600_000;

interface InHand {
  readonly attempts: number;
  /** What became of it, as long as that is not in the store. */
  end: Delivery | undefined;
}

export class Outbox {
  readonly #tools: OutboxTools;
  readonly #onError: (error: unknown) => void;
  readonly #owner = randomUUID();
  readonly #inHand = new Map<string, InHand>();
  #timer: NodeJS.Timeout | undefined;
  #running = Promise.resolve();
  /** A look that has not begun. */
  #next: Promise<void> | undefined;
  #isStopping = false;

  constructor(tools: OutboxTools, onError: (error: unknown) => void) {
    this.#tools = tools;
    this.#onError = onError;
    if (!tools.mailer.delivers) return;
    this.#timer = setInterval(() => void this.look(), everyMs);
    this.#timer.unref();
    // What an earlier process has left undone is late already.
    void this.look();
  }

  /** Looks once from the beginning; however many ask meanwhile share the next look. To be called when something may be due. Never rejects. */
  look(): Promise<void> {
    if (!this.#tools.mailer.delivers) return Promise.resolve();
    if (this.#next) return this.#next;
    const next = this.#running
      .then(() => {
        this.#next = undefined;
        return this.#look();
      })
      .catch(this.#onError);
    this.#next = next;
    this.#running = next;
    return next;
  }

  /** Nothing is begun any more; emails on their way may still end. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  /** What became of each email is in the store. To be called when the mailer is settled. */
  settle(): Promise<void> {
    this.#running = this.#running.then(() => this.#settle()).catch(this.#onError);
    return this.#running;
  }

  /** Writes down what became of emails; what cannot be written is tried again at the next look, and not sent again here. */
  async #settle(): Promise<void> {
    const { store, now } = this.#tools;
    for (const [id, { end, attempts }] of this.#inHand) {
      if (end === undefined) continue;
      if (end === 'sent') await store.finishConsequence(id, 'done', now());
      else if (end === 'refused') await store.finishConsequence(id, 'dead', now());
      // A gate that stops leaves it to the next one, at once.
      else await store.postponeConsequence(id, this.#owner, this.#isStopping ? now() : now() + pauseAfter(attempts));
      this.#inHand.delete(id);
    }
  }

  async #look(): Promise<void> {
    await this.#settle();
    if (this.#isStopping) return;
    const { store, now } = this.#tools;
    for (const id of this.#inHand.keys()) await store.holdConsequence(id, this.#claim());
    await this.#preview();
    const room = Math.min(mostAtOnce, mostInHand - this.#inHand.size);
    if (room <= 0) return;
    for (const row of await store.dueConsequences('email', now(), room)) await this.#send(row);
  }

  /** What follows from the time alone. */
  async #preview(): Promise<void> {
    const { store, now } = this.#tools;
    const keys = await store.keysExpiring(now(), now() + soonMs);
    // A key that lives shorter than the warning, and one that was replaced, end as they were meant to.
    const warned = keys.filter(({ createdAt, expiresAt }) => expiresAt !== null && expiresAt - createdAt >= 2 * soonMs);
    await store.insertConsequences(
      warned.map(({ id }) => expiryEmail(id)),
      now(),
    );
  }

  async #send(row: StoredConsequence): Promise<void> {
    const { store, mailer, now } = this.#tools;
    const { id, createdAt } = row;
    if (!(await store.claimConsequence(id, this.#claim()))) return;
    if (createdAt < now() - newsMs) {
      await store.finishConsequence(id, 'dead', now());
      return;
    }
    const email = await composeEmail(row.about, this.#tools);
    if (!email) await store.finishConsequence(id, 'done', now());
    else if (!mailer.hasRoom(email.about.kind, email.to))
      await store.postponeConsequence(id, this.#owner, now() + noRoomMs);
    else {
      const inHand: InHand = { attempts: row.attempts + 1, end: undefined };
      this.#inHand.set(id, inHand);
      mailer.send({ ...email, id }, (how) => {
        inHand.end = how;
        void this.settle();
      });
    }
  }

  #claim() {
    const at = this.#tools.now();
    return { owner: this.#owner, at, until: at + inHandMs };
  }
}

const pauseAfter = (attempts: number): number => Math.min(longestPauseMs, againMs * 2 ** (attempts - 1));
