// A certificate that renews itself: at two thirds of its life, or earlier where the authority says so. Gates that share a
// store share the certificate: one of them orders, all of them answer the authority's questions, and each takes what it
// finds. The last certificate is shown until there is a better one, whatever happens to the authority.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext, createServer, type SecureContext, type Server as TlsServer } from 'node:tls';
import type { MonotonicMs, WallMs } from '../domain/time.ts';
import type { CertificateStore, StoredCertificate } from '../store/ports/certificates.ts';
import type { LeaseStore } from '../store/ports/leases.ts';
import type { Certificates } from './certificates.ts';
import {
  type AcmeSettings,
  type ChallengeKind,
  certificateId,
  challengeCertificate,
  type orderCertificate,
  suggestedWindow,
} from './order.ts';
import { openPair, type Pair, PairUnusable, refuseOutOfDate, type Trust } from './pair.ts';

export interface AcmeTools {
  readonly store: CertificateStore & LeaseStore;
  readonly certificates: Certificates;
  readonly now: () => WallMs;
  readonly nowMs: () => MonotonicMs;
  readonly order: typeof orderCertificate;
  /** How long an order may take, however the authority spreads its words; 10 minutes where absent. */
  readonly orderMs?: number;
  /** Between two tries to store what was issued; a second where absent. */
  readonly saveAgainMs?: number;
  readonly onRenew: (notAfter: number) => void;
  readonly onFail: (error: unknown, tryAgainMs: number) => void;
  /** What opens a context for callers who are asked for a certificate. */
  readonly trust: () => Trust;
}

const minute = 60_000;
const hour = 60 * minute;
/** How often the store is looked at for what another gate has ordered. */
const lookMs = minute;
/** An order takes that long at most; then another gate may try. */
const leaseMs = 15 * minute;
/** Shorter than the lease, so that two gates never order at once. */
const defaultOrderMs = 10 * minute;
/** How often a certificate that the store could not take is offered to it again, within an order. */
const saveTries = 5;
const defaultSaveAgainMs = 1_000;
/** How often the authority is asked whether it wants the certificate renewed. */
const askMs = 6 * hour;
/** Whatever the authority suggests, a certificate is not renewed sooner. */
const leastLifeMs = askMs;
const waitsMs = [minute, 5 * minute, 30 * minute, 2 * hour, 6 * hour] as const;

export class AcmeCertificates {
  readonly #settings: AcmeSettings;
  readonly #tools: AcmeTools;
  readonly #id: string;
  readonly #owner = randomUUID();
  #timer: NodeJS.Timeout | undefined;
  #current: StoredCertificate | undefined;
  /** Issued and shown, but not in the store yet. */
  #unsaved: StoredCertificate | undefined;
  #failures = 0;
  /** It waits after a failure until then. */
  #waitsUntilMs: MonotonicMs = -Infinity;
  #askedAtMs: MonotonicMs = -Infinity;
  #renewAt = 0;
  #looking: Promise<void> | undefined;
  #stopped = false;
  readonly #challengeServer: TlsServer;
  /** What the last challenge is answered with. */
  #shown: { readonly answer: string; readonly context: Promise<SecureContext> } | undefined;
  /** Which of the authority's ways to us are open, best first; none until the gate listens. */
  kinds: readonly ChallengeKind[] = [];
  /** What went wrong last; undefined while all is well. */
  problem: string | undefined;

  constructor(settings: AcmeSettings, tools: AcmeTools) {
    this.#settings = settings;
    this.#tools = tools;
    this.#id = certificateId(settings);
    this.#challengeServer = createServer({
      ALPNProtocols: ['acme-tls/1'],
      SNICallback: (name, done) => {
        this.#challengeContext(name).then(
          (context) => done(null, context),
          () => done(null),
        );
      },
      handshakeTimeout: 10_000,
    });
    // The handshake was the answer. The connection is closed at once: any client could have opened it.
    this.#challengeServer.on('secureConnection', (socket) => socket.on('error', () => socket.destroy()).destroySoon());
    this.#challengeServer.on('tlsClientError', (_error, socket) => socket.destroy());
  }

  /** When the next one is ordered; undefined while there is none. Unix milliseconds. */
  get renewsAt(): number | undefined {
    return this.#current && this.#renewAt;
  }

  /** When it asks again after a failure; undefined while all is well. Unix milliseconds. */
  get triesAt(): number | undefined {
    const { now, nowMs } = this.#tools;
    return this.problem === undefined ? undefined : now() + Math.max(0, this.#waitsUntilMs - nowMs());
  }

  /** Takes what the store has. False: nothing yet, somebody else has to show something meanwhile. */
  async load(): Promise<boolean> {
    this.#take(await this.#tools.store.findCertificate(this.#id));
    return this.#current !== undefined;
  }

  /** Starts renewal in the background; an order may take minutes, and the start does not wait for it. */
  start(): void {
    const look = async (): Promise<void> => {
      await this.look();
      if (!this.#stopped) this.#timer = setTimeout(() => void look(), lookMs).unref();
    };
    void look();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#tools.store.giveLease(this.#id, this.#owner).catch(() => undefined);
  }

  /** For an authority that reads /.well-known/acme-challenge/<token>. */
  async answerTo(token: string): Promise<string | undefined> {
    if (!/^[A-Za-z0-9_-]{16,256}$/.test(token)) return undefined;
    return (await this.#tools.store.findChallenge({ token }, this.#tools.now()))?.answer;
  }

  /** The server for a connection whose first bytes say that an authority opened it. */
  challenged(hello: Buffer): TlsServer | undefined {
    return hello.includes('acme-tls/1') ? this.#challengeServer : undefined;
  }

  /** Once: takes what is new in the store, and orders where it is time. Never rejects; one at a time. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { store, now, nowMs, onFail } = this.#tools;
    try {
      await this.#save();
      this.#take(await store.findCertificate(this.#id));
      if (!(await this.#isDue())) {
        this.#settle();
        return;
      }
      if (nowMs() < this.#waitsUntilMs) return;
      if (!(await store.takeLease(this.#id, this.#owner, now(), now() + leaseMs))) return;
      try {
        // Somebody else may have been quicker.
        this.#take(await store.findCertificate(this.#id));
        if (await this.#isDue()) await this.#order();
      } finally {
        await store.giveLease(this.#id, this.#owner);
      }
    } catch (error) {
      const wait = waitsMs[Math.min(this.#failures, waitsMs.length - 1)] as number;
      this.#failures++;
      // Not all gates at once, and never the authority's limits by impatience.
      const waitMs = (isRateLimit(error) ? Math.max(wait, hour) : wait) * (1 + Math.random() / 5);
      this.#waitsUntilMs = nowMs() + waitMs;
      this.problem = error instanceof Error ? error.message : 'unknown';
      onFail(error, waitMs);
    }
  }

  async #order(): Promise<void> {
    const { store, now, onRenew } = this.#tools;
    const [first, ...others] = this.kinds;
    if (first === undefined) throw new Error('neither port 80 nor port 443 is open for the authority');
    // The other way, where the first has failed.
    const ordered = this.#failures % 2 === 1 ? [...others, first] : [first, ...others];
    const fresh = await within(
      this.#tools.orderMs ?? defaultOrderMs,
      this.#tools.order(this.#settings, ordered, this.#current, store, now),
    );
    // Throws, and nothing is kept, where it cannot be shown: every gate of the store would take it for the last one.
    const pair = this.#open(fresh);
    refuseOutOfDate(pair, now());
    this.#show(fresh, pair);
    this.#unsaved = fresh;
    onRenew(fresh.notAfter);
    await this.#save();
    this.#settle();
  }

  /** What was issued is not thrown away because the store is busy: an authority counts its certificates. */
  async #save(): Promise<void> {
    const fresh = this.#unsaved;
    if (!fresh) return;
    for (let left = saveTries; ; left--) {
      try {
        await this.#tools.store.saveCertificate(fresh);
        this.#unsaved = undefined;
        return;
      } catch (error) {
        if (left <= 1 || this.#stopped) throw error;
        await sleep(this.#tools.saveAgainMs ?? defaultSaveAgainMs);
      }
    }
  }

  /** @throws PairUnusable where it cannot be shown under every name that the gate has. */
  #open({ chain, key }: StoredCertificate): Pair {
    const pair = openPair({ cert: chain, key }, this.#tools.trust());
    const missing = this.#settings.domains.find((domain) => !pair.names.includes(domain.toLowerCase()));
    if (missing !== undefined) throw new PairUnusable(`the certificate is not for ${missing}`);
    return pair;
  }

  /** There is nothing to do: an earlier failure is over, whatever ended it. */
  #settle(): void {
    this.#failures = 0;
    this.#waitsUntilMs = -Infinity;
    this.problem = undefined;
  }

  /** What cannot be shown, or does not begin yet, counts as if it were not there; so does what is older than ours. */
  #take(found: StoredCertificate | undefined): void {
    if (!found || found.issuedAt === this.#current?.issuedAt || this.#unsaved) return;
    try {
      const pair = this.#open(found);
      // One that has ended is better than none: callers who look at nothing else go on.
      if ((pair.notAfter ?? 0) > this.#tools.now()) refuseOutOfDate(pair, this.#tools.now());
      else if (this.#current) return;
      this.#show(found, pair);
    } catch (error) {
      if (!(error instanceof PairUnusable)) throw error;
    }
  }

  #show(found: StoredCertificate, pair: Pair): void {
    this.#tools.certificates.replace([pair]);
    this.#current = found;
    this.#renewAt = found.issuedAt + (found.notAfter - found.issuedAt) * (2 / 3);
    this.#askedAtMs = -Infinity;
  }

  async #isDue(): Promise<boolean> {
    const current = this.#current;
    if (!current) return true;
    const { now, nowMs } = this.#tools;
    if (now() >= this.#renewAt) return true;
    if (nowMs() - this.#askedAtMs < askMs) return false;
    this.#askedAtMs = nowMs();
    // Not being told is no failure: two thirds will do.
    const window = await suggestedWindow(this.#settings, current.chain).catch(() => undefined);
    if (!window) return false;
    const at = window.start + Math.random() * Math.max(0, window.end - window.start);
    // An authority that always says "yesterday" would be ordered from without end.
    this.#renewAt = Math.min(this.#renewAt, Math.max(at, current.issuedAt + leastLifeMs));
    return now() >= this.#renewAt;
  }

  async #challengeContext(name: string): Promise<SecureContext | undefined> {
    // Only for names that are ours: a store may hold the questions of other gates, and anybody may ask.
    const asked = name.toLowerCase();
    if (!this.#settings.domains.some((domain) => domain.toLowerCase() === asked)) return undefined;
    const found = await this.#tools.store.findChallenge({ domain: asked }, this.#tools.now());
    if (!found) return undefined;
    // Anybody may ask, and a key takes a while to make.
    const { domain, answer } = found;
    if (this.#shown?.answer !== answer)
      this.#shown = { answer, context: challengeCertificate(domain, answer).then(createSecureContext) };
    return await this.#shown.context;
  }
}

/** What is late is not waited for; what it still says goes nowhere. */
async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const late = new AbortController();
  try {
    return await Promise.race([
      work,
      sleep(limitMs, undefined, { signal: late.signal, ref: false }).then(() => {
        throw new Error(`the authority has not finished within ${Math.round(limitMs / 1000)} seconds`);
      }),
    ]);
  } finally {
    late.abort();
    work.catch(() => undefined);
  }
}

const isRateLimit = (error: unknown): boolean => error instanceof Error && /rateLimited|too many/i.test(error.message);
