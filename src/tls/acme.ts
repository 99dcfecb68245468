// A certificate that is renewed automatically, at two thirds of its life or earlier if the authority asks for it. Gateways that
// share a store share the certificate: one of them orders it, all of them answer challenges, and each loads it from the store.
// The last certificate stays in use until there is a better one, whatever happens to the authority.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext, createServer, type SecureContext, type Server as TlsServer } from 'node:tls';
import type { MonotonicMs, WallMs } from '../domain/time.ts';
import type { CertificateStore, StoredCertificate } from '../store/ports/certificates.ts';
import { type HeldLease, LeaseLost, type LeaseStore } from '../store/ports/leases.ts';
import type { Store } from '../store/ports/store.ts';
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

export type AcmeStore = CertificateStore & LeaseStore & Pick<Store, 'whileHeld'>;

export interface AcmeTools {
  readonly store: AcmeStore;
  readonly certificates: Certificates;
  readonly now: () => WallMs;
  readonly nowMs: () => MonotonicMs;
  readonly order: typeof orderCertificate;
  /** How long an order may take in total; 10 minutes by default. */
  readonly orderMs?: number;
  /** The pause between attempts to store an issued certificate; a second by default. */
  readonly saveAgainMs?: number;
  readonly onRenew: (notAfter: number) => void;
  readonly onFail: (error: unknown, tryAgainMs: number) => void;
  /** The trust for client certificates, for TLS contexts. */
  readonly trust: () => Trust;
}

const minute = 60_000;
const hour = 60 * minute;
/** How often the store is checked for certificates that another gateway has ordered. */
const lookMs = minute;
/** The longest time of an order; then another gateway may try. */
const leaseMs = 15 * minute;
/** Shorter than the lease, so that two gateways never order at the same time. */
const defaultOrderMs = 10 * minute;
/** How often storing an issued certificate is retried within an order. */
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
  /** Issued and in use, but not in the store yet. */
  #unsaved: StoredCertificate | undefined;
  #failures = 0;
  /** The end of the wait after a failure. */
  #waitsUntilMs: MonotonicMs = -Infinity;
  #askedAtMs: MonotonicMs = -Infinity;
  #renewAt = 0;
  #looking: Promise<void> | undefined;
  #lease: HeldLease | undefined;
  #stopped = false;
  readonly #challengeServer: TlsServer;
  /** The certificate that answers the last challenge. */
  #shown: { readonly answer: string; readonly context: Promise<SecureContext> } | undefined;
  /** The open validation methods, best first; none until the gateway listens. */
  kinds: readonly ChallengeKind[] = [];
  /** The last error; undefined if there is none. */
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
    // The handshake is the answer. The connection is closed immediately, because any client could have opened it.
    this.#challengeServer.on('secureConnection', (socket) => socket.on('error', () => socket.destroy()).destroySoon());
    this.#challengeServer.on('tlsClientError', (_error, socket) => socket.destroy());
  }

  /** When the next one is ordered; undefined while there is none. Unix milliseconds. */
  get renewsAt(): number | undefined {
    return this.#current && this.#renewAt;
  }

  /** When it retries after a failure; undefined if there was none. Unix milliseconds. */
  get triesAt(): number | undefined {
    const { now, nowMs } = this.#tools;
    return this.problem === undefined ? undefined : now() + Math.max(0, this.#waitsUntilMs - nowMs());
  }

  /** Loads the certificate from the store. False: there is none yet, so a temporary certificate is needed. */
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
    await this.#giveLease().catch(() => undefined);
  }

  /** For requests of an authority for /.well-known/acme-challenge/<token>. */
  async answerTo(token: string): Promise<string | undefined> {
    if (!/^[A-Za-z0-9_-]{16,256}$/.test(token)) return undefined;
    return (await this.#tools.store.findChallenge({ token }, this.#tools.now()))?.answer;
  }

  /** The server for a connection whose first bytes say that an authority opened it. */
  challenged(hello: Buffer): TlsServer | undefined {
    return hello.includes('acme-tls/1') ? this.#challengeServer : undefined;
  }

  /** One round: loads a new certificate from the store, and orders one when it is time. Never rejects; one at a time. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { store, nowMs, onFail } = this.#tools;
    try {
      await this.#saveLater();
      this.#take(await store.findCertificate(this.#id));
      if (!(await this.#isDue())) {
        this.#settle();
        return;
      }
      if (nowMs() < this.#waitsUntilMs) return;
      this.#lease = await store.takeLease(this.#id, this.#owner, leaseMs);
      if (!this.#lease) return;
      try {
        // Another gateway may have been faster.
        this.#take(await store.findCertificate(this.#id));
        if (await this.#isDue()) await this.#order(this.#lease);
      } finally {
        await this.#giveLease();
      }
    } catch (error) {
      const wait = waitsMs[Math.min(this.#failures, waitsMs.length - 1)] as number;
      this.#failures++;
      // Random, so that gateways do not order at once, and slow, so that the authority's rate limits are not reached.
      const waitMs = (isRateLimit(error) ? Math.max(wait, hour) : wait) * (1 + Math.random() / 5);
      this.#waitsUntilMs = nowMs() + waitMs;
      this.problem = error instanceof Error ? error.message : 'unknown';
      onFail(error, waitMs);
    }
  }

  async #giveLease(): Promise<void> {
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease) await this.#tools.store.giveLease(lease);
  }

  /** Stores what could not be stored after its order, unless another gateway has stored a later one meanwhile. */
  async #saveLater(): Promise<void> {
    const { store } = this.#tools;
    if (!this.#unsaved) return;
    this.#lease = await store.takeLease(this.#id, this.#owner, leaseMs);
    if (!this.#lease) return;
    try {
      const found = await store.findCertificate(this.#id);
      if (found && found.issuedAt > this.#unsaved.issuedAt) this.#unsaved = undefined;
      else await this.#save(this.#lease);
    } finally {
      await this.#giveLease();
    }
  }

  async #order(lease: HeldLease): Promise<void> {
    const { store, now, onRenew } = this.#tools;
    const [first, ...others] = this.kinds;
    if (first === undefined) throw new Error('neither port 80 nor port 443 is open for the authority');
    // The other method, after the first has failed.
    const ordered = this.#failures % 2 === 1 ? [...others, first] : [first, ...others];
    const fresh = await within(
      this.#tools.orderMs ?? defaultOrderMs,
      this.#tools.order(this.#settings, ordered, this.#current, store, now),
    );
    // Throws before storing if it cannot be used, because every gateway of the store would load it.
    const pair = this.#open(fresh);
    refuseOutOfDate(pair, now());
    this.#show(fresh, pair);
    this.#unsaved = fresh;
    onRenew(fresh.notAfter);
    await this.#save(lease);
    this.#settle();
  }

  /**
   * Retries if the store is busy, because authorities limit the number of certificates. A gateway that was frozen while another took
   * the lease stores nothing in place of what the other has stored. @throws LeaseLost
   */
  async #save(lease: HeldLease): Promise<void> {
    const fresh = this.#unsaved;
    if (!fresh) return;
    for (let left = saveTries; ; left--) {
      try {
        await this.#tools.store.whileHeld(lease, (store) => store.saveCertificate(fresh));
        this.#unsaved = undefined;
        return;
      } catch (error) {
        if (left <= 1 || this.#stopped || error instanceof LeaseLost) throw error;
        await sleep(this.#tools.saveAgainMs ?? defaultSaveAgainMs);
      }
    }
  }

  /** @throws PairUnusable if it is not valid for every name of the gateway. */
  #open({ chain, key }: StoredCertificate): Pair {
    const pair = openPair({ cert: chain, key }, this.#tools.trust());
    const missing = this.#settings.domains.find((domain) => !pair.names.includes(domain.toLowerCase()));
    if (missing !== undefined) throw new PairUnusable(`the certificate is not for ${missing}`);
    return pair;
  }

  /** There is nothing to do, so an earlier failure is resolved. */
  #settle(): void {
    this.#failures = 0;
    this.#waitsUntilMs = -Infinity;
    this.problem = undefined;
  }

  /** Unusable certificates, those that are not valid yet, and those that are older than the current one are ignored. */
  #take(found: StoredCertificate | undefined): void {
    if (!found || found.issuedAt === this.#current?.issuedAt || this.#unsaved) return;
    try {
      const pair = this.#open(found);
      // An expired certificate is better than none, because some callers do not check the dates.
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
    // Renewal information is optional; without it, two thirds of the life apply.
    const window = await suggestedWindow(this.#settings, current.chain).catch(() => undefined);
    if (!window) return false;
    const at = window.start + Math.random() * Math.max(0, window.end - window.start);
    // Prevents endless orders from an authority that always suggests a time in the past.
    this.#renewAt = Math.min(this.#renewAt, Math.max(at, current.issuedAt + leastLifeMs));
    return now() >= this.#renewAt;
  }

  async #challengeContext(name: string): Promise<SecureContext | undefined> {
    // Only for own names, because the store may have challenges of other gateways, and anyone may ask.
    const asked = name.toLowerCase();
    if (!this.#settings.domains.some((domain) => domain.toLowerCase() === asked)) return undefined;
    const found = await this.#tools.store.findChallenge({ domain: asked }, this.#tools.now());
    if (!found) return undefined;
    // Anyone may ask, and generating a key takes time.
    const { domain, answer } = found;
    if (this.#shown?.answer !== answer)
      this.#shown = { answer, context: challengeCertificate(domain, answer).then(createSecureContext) };
    return await this.#shown.context;
  }
}

/** Limits the time of a promise; a late result is ignored. */
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
