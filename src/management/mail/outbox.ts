// Sends the emails of the outbox. A process claims a row for a minute at a time, and the row is due until a mail server has
// accepted the email. If the process is killed in between, the next one sends it; an email that a server accepted at that
// moment arrives twice. The two cases cannot be distinguished, and twice is better than never. A row that cannot be sent now is
// due later and does not delay others. What becomes of a row is written only by the process that has claimed it: one that was
// frozen while another claimed the row writes nothing.
import { randomUUID } from 'node:crypto';
import { expiryEmail } from '../../domain/outbox.ts';
import type { WallMs } from '../../domain/time.ts';
import type { StoredConsequence } from '../../store/ports/outbox.ts';
import type { Store } from '../../store/ports/store.ts';
import type { LinkCodes } from '../people/link-codes.ts';
import { composeEmail } from './compose-email.ts';
import { takeRoom } from './mail-budget.ts';
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
/** Older emails are no longer useful. */
const newsMs = 24 * 3_600_000;
/** Longer than several rounds, each of which renews the claims. */
const inHandMs = 60_000;
/** Rows per round; further ones follow in the next. */
const mostAtOnce = 200;
/** Fewer than the mailer accepts, so that it never refuses because of an unresponsive mail server. */
const mostInHand = 500;
const noRoomMs = 5 * 60_000;
/** After the mailer has given up, which takes several minutes; doubled each time. */
const againMs = 10 * 60_000;
const longestPauseMs = 6 * 3_600_000;

interface InHand {
  readonly attempts: number;
  /** The result, until it is stored. */
  end: Delivery | undefined;
}

export class Outbox {
  readonly #tools: OutboxTools;
  readonly #onError: (error: unknown) => void;
  readonly #owner = randomUUID();
  readonly #inHand = new Map<string, InHand>();
  #timer: NodeJS.Timeout | undefined;
  #running = Promise.resolve();
  /** A round that has not started. */
  #next: Promise<void> | undefined;
  #isStopping = false;

  constructor(tools: OutboxTools, onError: (error: unknown) => void) {
    this.#tools = tools;
    this.#onError = onError;
    this.#timer = setInterval(() => void this.look(), everyMs);
    this.#timer.unref();
    // Rows that an earlier process left are already late.
    void this.look();
  }

  /** Runs one round; calls during a round share the next one. Call when something may be due. Never rejects. */
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

  /** Starts nothing new; emails that are being sent may still finish. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  /** Stores the result of each email. Call after the mailer has settled. */
  settle(): Promise<void> {
    this.#running = this.#running.then(() => this.#settle()).catch(this.#onError);
    return this.#running;
  }

  /** Stores results; if that fails, it is retried in the next round, and the email is not sent again by this process. */
  async #settle(): Promise<void> {
    const { store, now } = this.#tools;
    for (const [id, { end, attempts }] of this.#inHand) {
      if (end === undefined) continue;
      if (end === 'sent') await store.finishConsequence(id, this.#owner, 'done', now());
      else if (end === 'refused') await store.finishConsequence(id, this.#owner, 'dead', now());
      // A gateway that stops leaves it to the next one, due immediately.
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

  /** Emails that only depend on time. */
  async #preview(): Promise<void> {
    const { store, now } = this.#tools;
    const keys = await store.keysExpiring(now(), now() + soonMs);
    // Keys that live shorter than the warning period, and replaced keys, expire as planned.
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
      await store.finishConsequence(id, this.#owner, 'dead', now());
      return;
    }
    const email = await composeEmail(row.about, this.#tools);
    if (!email) await store.finishConsequence(id, this.#owner, 'done', now());
    else if (!(await takeRoom(store, email.about.kind, email.to, now())))
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
