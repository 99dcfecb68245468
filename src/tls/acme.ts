// A certificate that renews itself: at two thirds of its life, or earlier where the authority says so. Gates that share a
// store share the certificate: one of them orders, all of them answer the authority's questions, and each takes what it
// finds. The last certificate is shown until there is a better one, whatever happens to the authority.
import { randomUUID } from 'node:crypto';
import { createSecureContext, createServer, type SecureContext, type Server as TlsServer } from 'node:tls';
import type { CertificateStore, StoredCertificate } from '../store/ports.ts';
import type { Certificates } from './certificates.ts';
import {
  type AcmeSettings,
  type ChallengeKind,
  certificateId,
  challengeCertificate,
  orderCertificate,
  suggestedWindow,
} from './order.ts';
import { openPair, PairUnusable, type Trust } from './pair.ts';

export interface AcmeTools {
  readonly store: CertificateStore;
  readonly certificates: Certificates;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Best first: which of the authority's ways to us are open. */
  readonly kinds: () => readonly ChallengeKind[];
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
/** How often the authority is asked whether it wants the certificate renewed. */
const askMs = 6 * hour;
/** Whatever the authority suggests, a certificate is not renewed sooner. */
const leastLifeMs = askMs;
const waitsMs = [minute, 5 * minute, 30 * minute, 2 * hour, 6 * hour] as const;

export class AcmeKeeper {
  readonly #settings: AcmeSettings;
  readonly #tools: AcmeTools;
  readonly #id: string;
  readonly #owner = randomUUID();
  #timer: NodeJS.Timeout | undefined;
  #current: StoredCertificate | undefined;
  #failures = 0;
  #notBefore = 0;
  #askedAt = 0;
  #renewAt = 0;
  #looking: Promise<void> | undefined;
  #stopped = false;
  readonly #challengeServer: TlsServer;
  /** What the last challenge is answered with. */
  #shown: { readonly answer: string; readonly context: Promise<SecureContext> } | undefined;
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
    // The handshake was the answer. Whoever asked may be anybody, and is not waited for.
    this.#challengeServer.on('secureConnection', (socket) => socket.on('error', () => socket.destroy()).destroySoon());
    this.#challengeServer.on('tlsClientError', (_error, socket) => socket.destroy());
  }

  /** When the next one is ordered; undefined while there is none. Unix milliseconds. */
  get renewsAt(): number | undefined {
    return this.#current && this.#renewAt;
  }

  /** When it asks again after a failure; undefined while all is well. Unix milliseconds. */
  get triesAt(): number | undefined {
    return this.problem === undefined ? undefined : this.#notBefore;
  }

  /** Takes what the store has. False: nothing yet, somebody else has to show something meanwhile. */
  async load(): Promise<boolean> {
    this.#take(await this.#tools.store.findCertificate(this.#id));
    return this.#current !== undefined;
  }

  /** Begins to look after it; an order may take minutes and holds nobody up. */
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
    const { store, now, onFail } = this.#tools;
    try {
      this.#take(await store.findCertificate(this.#id));
      if (!(await this.#isDue())) {
        this.#settle();
        return;
      }
      if (now() < this.#notBefore) return;
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
      this.#notBefore = now() + waitMs;
      this.problem = error instanceof Error ? error.message : 'unknown';
      onFail(error, waitMs);
    }
  }

  async #order(): Promise<void> {
    const { store, now, kinds, onRenew } = this.#tools;
    const [first, ...others] = kinds();
    if (first === undefined) throw new Error('neither port 80 nor port 443 is open for the authority');
    // The other way, where the first has failed.
    const ordered = this.#failures % 2 === 1 ? [...others, first] : [first, ...others];
    const fresh = await orderCertificate(this.#settings, ordered, this.#current, store, now);
    // What nobody can be shown is not kept: every gate of the store would take it for the last one.
    openPair({ cert: fresh.chain, key: fresh.key }, this.#tools.trust());
    if (fresh.notAfter <= now()) throw new PairUnusable('the authority gave a certificate that has ended already');
    await store.saveCertificate(fresh);
    this.#take(fresh);
    this.#settle();
    onRenew(fresh.notAfter);
  }

  /** There is nothing to do: what failed before is over, whoever has mended it. */
  #settle(): void {
    this.#failures = 0;
    this.#notBefore = 0;
    this.problem = undefined;
  }

  /** What cannot be shown counts as if it were not there. */
  #take(found: StoredCertificate | undefined): void {
    if (!found || found.issuedAt === this.#current?.issuedAt) return;
    const { certificates, trust } = this.#tools;
    try {
      certificates.replace([openPair({ cert: found.chain, key: found.key }, trust())]);
    } catch (error) {
      if (error instanceof PairUnusable) return;
      throw error;
    }
    this.#current = found;
    this.#renewAt = found.issuedAt + (found.notAfter - found.issuedAt) * (2 / 3);
    this.#askedAt = 0;
  }

  async #isDue(): Promise<boolean> {
    const current = this.#current;
    if (!current) return true;
    const now = this.#tools.now();
    if (now >= this.#renewAt) return true;
    if (now - this.#askedAt < askMs) return false;
    this.#askedAt = now;
    // Not being told is no failure: two thirds will do.
    const window = await suggestedWindow(this.#settings, current.chain).catch(() => undefined);
    if (!window) return false;
    const at = window.start + Math.random() * Math.max(0, window.end - window.start);
    // An authority that always says "yesterday" would be ordered from without end.
    this.#renewAt = Math.min(this.#renewAt, Math.max(at, current.issuedAt + leastLifeMs));
    return now >= this.#renewAt;
  }

  async #challengeContext(name: string): Promise<SecureContext | undefined> {
    const found = await this.#tools.store.findChallenge({ domain: name.toLowerCase() }, this.#tools.now());
    if (!found) return undefined;
    // Anybody may ask, and a key takes a while to make.
    const { domain, answer } = found;
    if (this.#shown?.answer !== answer)
      this.#shown = { answer, context: challengeCertificate(domain, answer).then(createSecureContext) };
    return await this.#shown.context;
  }
}

const isRateLimit = (error: unknown): boolean => error instanceof Error && /rateLimited|too many/i.test(error.message);
