// The model servers behind us: one connection pool each, and what we last heard of them. It looks every few seconds
// whether they answer and what models they have, and says so once when that changes; a server that was down is still
// tried, since a look may be older than its return.
import { buildConnector, Client, Pool } from 'undici';
import { parseModelName } from '../domain/model-name.ts';
import type { Pass } from './credentials.ts';
import { ModelDetails } from './details.ts';
import { type Listed, listFrom, NoList } from './model-lists.ts';
import { Screen } from './screen.ts';
import { SharedLists } from './shared-lists.ts';

export interface UpstreamSettings {
  readonly connectTimeoutMs: number;
  readonly probeIntervalMs: number;
  /** @throws PassUnusable */
  readonly passFor: (server: URL) => Pass;
  readonly takesStreamOptions: (server: URL) => boolean;
}

export type OnTurn = (upstream: Upstream, up: boolean, reason: string) => void;

const probeTimeoutMs = 5_000;
/** A server that broke off has a moment to come back before it is looked at. */
const doubtMs = 100;
/** A look that takes that long, and so many times as long as the fastest server's, is slow. */
const slowLookMs = 200;
const slowTimes = 4;
/** Calls that a slow server counts as having beside its own. */
const slowBurden = 2;

export class Upstream {
  /** Scheme, host and port: what logs and the ledger call it. */
  readonly name: string;
  /** Path before every route, for a server that lives under one; usually empty. */
  readonly basePath: string;
  readonly dispatcher: Pool;
  up: boolean | undefined;
  /** A call has just broken there: whoever waits is not sent until it has been looked at again. */
  doubtful = false;
  inFlight = 0;
  /** False where it refuses a body with that field: by the settings, or since it has. */
  takesStreamOptions: boolean;
  /** How long its last look took. */
  lookMs = 0;
  pass: Pass;
  /** Judges what it says of its failures. */
  screen: Screen;
  readonly url: URL;
  readonly #settings: UpstreamSettings;
  #connect: buildConnector.connector;
  readonly #onDoubt: (upstream: Upstream) => void;
  /** Which family's list it keeps, as far as that is known. */
  lists: 'ollama' | 'openai' | undefined;
  /** Canonical names it last listed; undefined until it has. */
  models: ReadonlySet<string> | undefined;
  /** The same as it spells them, with their bytes. */
  listed: readonly { readonly name: string; readonly size: number | null }[] = [];
  /** Of local models by canonical name, what changes with their contents. */
  digests: ReadonlyMap<string, string> = new Map();
  readonly details = new ModelDetails();
  /** Of these, the names that stand for a model on another machine. */
  remote: ReadonlySet<string> = new Set();

  constructor(url: URL, settings: UpstreamSettings, onDoubt: (upstream: Upstream) => void) {
    this.#onDoubt = onDoubt;
    this.url = url;
    this.#settings = settings;
    this.pass = settings.passFor(url);
    this.screen = new Screen(this.pass, url);
    this.takesStreamOptions = settings.takesStreamOptions(url);
    this.#connect = this.#connector();
    this.name = url.origin;
    // Addresses of the OpenAI family are often given with the /v1 that its routes begin with.
    this.basePath = url.pathname.replace(/\/(?:v1\/?)?$/, '');
    // No retry, redirect, cache or decompression: each has desynchronised somebody (undici CVE-2026-16728 and others).
    // The number of sockets is not limited here: admission is, and a request must never wait where a hang-up of its
    // caller cannot be seen.
    this.dispatcher = new Pool(url.origin, this.#options());
  }

  #options(): Client.Options {
    return {
      pipelining: 1,
      connect: (options, done) => this.#connect(options, done),
      keepAliveTimeout: 30_000,
      keepAliveMaxTimeout: 60_000,
      allowH2: false,
    };
  }

  /** For one call over a connection that is new: those that are kept may all have ended when the server began anew. */
  anew(): { dispatch: Client['dispatch'] } {
    const client = new Client(this.url.origin, this.#options());
    return {
      dispatch: (options, handler) => {
        const taken = client.dispatch(options, handler);
        // Waits for the call, and then ends the connection.
        client.close().catch(() => undefined);
        return taken;
      },
    };
  }

  /** For connections to come; those that are open stay. */
  renew(pass: Pass): void {
    this.pass = pass;
    this.screen = new Screen(pass, this.url);
    this.#connect = this.#connector();
  }

  /** A server's certificate is always checked: against the public authorities, or its own. */
  #connector(): buildConnector.connector {
    return buildConnector({ timeout: this.#settings.connectTimeoutMs, ...this.pass.tls, rejectUnauthorized: true });
  }

  /** The connection failed, or broke before an answer began. */
  doubt(): void {
    if (this.doubtful) return;
    this.doubtful = true;
    this.#onDoubt(this);
  }
}

export class UpstreamPool {
  readonly upstreams: readonly Upstream[];
  /** Their lists, for callers. */
  readonly lists: SharedLists<Upstream>;
  readonly #settings: UpstreamSettings;
  readonly #onTurn: OnTurn;
  readonly #timers = new Map<Upstream, NodeJS.Timeout>();
  #closed = false;

  constructor(urls: readonly URL[], settings: UpstreamSettings, onTurn: OnTurn) {
    this.upstreams = urls.map((url) => new Upstream(url, settings, (upstream) => this.#lookSoon(upstream)));
    this.lists = new SharedLists(this.upstreams);
    this.#settings = settings;
    this.#onTurn = onTurn;
  }

  /** Reads the files of every server again. @throws PassUnusable; then everything stays as it was. */
  renew(): void {
    const passes = this.upstreams.map(({ url }) => this.#settings.passFor(url));
    for (const [at, upstream] of this.upstreams.entries()) upstream.renew(passes[at] as Pass);
  }

  /** Looks once at every server, and from then on by itself. */
  async start(): Promise<void> {
    await Promise.all(this.upstreams.map((upstream) => this.#watch(upstream)));
  }

  get anyUp(): boolean {
    return this.upstreams.some((upstream) => upstream.up === true);
  }

  /**
   * Some server has it from another machine, and none has it itself. One that lists every model so does not take them away
   * from callers whom the others can serve; nothing of theirs goes to it (route.ts).
   */
  isRemote(canonical: string): boolean {
    return (
      this.upstreams.some(({ remote }) => remote.has(canonical)) &&
      !this.upstreams.some(({ models, remote }) => models?.has(canonical) === true && !remote.has(canonical))
    );
  }

  /** Where to try, best first: it answers, it lists the model, it has it itself, it has the least to do. Never empty. */
  candidates(model: string | undefined): readonly Upstream[] {
    if (this.upstreams.length === 1) return this.upstreams;
    const penalty = (upstream: Upstream): number =>
      (upstream.up === true ? 0 : 4) +
      (model !== undefined && upstream.models?.has(model) !== true ? 2 : 0) +
      (model !== undefined && upstream.remote.has(model) ? 1 : 0);
    const load = this.#load();
    return this.upstreams.toSorted((a, b) => penalty(a) - penalty(b) || load(a) - load(b));
  }

  /** Those that can work on this model now: they answer and list it, as far as that is known. Never empty. */
  serving(model: string): readonly Upstream[] {
    if (this.upstreams.length === 1) return this.upstreams;
    const up = this.upstreams.filter((upstream) => upstream.up === true && !upstream.doubtful);
    const having = up.filter((upstream) => upstream.models?.has(model) === true);
    const own = having.filter(({ remote }) => !remote.has(model));
    const found = own.length > 0 ? own : having.length > 0 ? having : up.length > 0 ? up : this.upstreams;
    const load = this.#load();
    return found.toSorted((a, b) => load(a) - load(b));
  }

  /** What a server has to do. One that answers, but far more slowly than another, counts as busier than it is. */
  #load(): (upstream: Upstream) => number {
    const fastest = Math.min(...this.upstreams.filter(({ up }) => up === true).map(({ lookMs }) => lookMs));
    const slow = Math.max(slowLookMs, slowTimes * fastest);
    return ({ inFlight, lookMs }) => inFlight + (lookMs > slow ? slowBurden : 0);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.all(this.upstreams.map((upstream) => upstream.dispatcher.destroy()));
  }

  #lookSoon(upstream: Upstream): void {
    clearTimeout(this.#timers.get(upstream));
    if (!this.#closed) this.#timers.set(upstream, setTimeout(() => void this.#watch(upstream), doubtMs).unref());
  }

  async #watch(upstream: Upstream): Promise<void> {
    const from = performance.now();
    const reason = await probe(upstream);
    upstream.lookMs = performance.now() - from;
    if (this.#closed) return;
    const up = reason === undefined;
    upstream.doubtful = false;
    if (upstream.up !== up) {
      upstream.up = up;
      this.#onTurn(upstream, up, reason ?? 'it answers');
    }
    // A server that is away is looked for more often, so that its return is seen soon.
    const delayMs = up ? this.#settings.probeIntervalMs : Math.min(1_000, this.#settings.probeIntervalMs);
    clearTimeout(this.#timers.get(upstream));
    this.#timers.set(upstream, setTimeout(() => void this.#watch(upstream), delayMs).unref());
    if (up) await upstream.details.look(upstream, upstream.digests);
  }
}

/** Reads the model list; gives undefined, or why it could not. A kept connection that has ended says nothing yet. */
async function probe(upstream: Upstream): Promise<string | undefined> {
  const reason = await readList(upstream);
  return reason === 'UND_ERR_SOCKET' || reason === 'ECONNRESET' ? readList(upstream) : reason;
}

async function readList(upstream: Upstream): Promise<string | undefined> {
  try {
    learnModels(upstream, await listFrom(upstream, 'all', AbortSignal.timeout(probeTimeoutMs)));
    return undefined;
  } catch (error) {
    // It answers, if not with a list.
    return error instanceof NoList ? undefined : describe(error);
  }
}

function learnModels(upstream: Upstream, list: readonly Listed[]): void {
  const models = new Set<string>();
  const remote = new Set<string>();
  const digests = new Map<string, string>();
  const listed: { name: string; size: number | null }[] = [];
  for (const { name: spelled, ollama: entry } of list) {
    const name = parseModelName(spelled);
    if (name === undefined) continue;
    const { canonical } = name;
    models.add(canonical);
    const size = entry['size'];
    listed.push({
      name: spelled,
      size: Number.isSafeInteger(size) && upstream.lists === 'ollama' ? (size as number) : null,
    });
    if (entry['remote_host'] || entry['remote_model']) remote.add(canonical);
    // Ollama asks ollama.com for the details of a cloud model, on the operator's account.
    else if (typeof entry['digest'] === 'string' && entry['digest'] !== '' && !name.cloud)
      digests.set(canonical, entry['digest'].slice(0, 100));
  }
  upstream.models = models;
  upstream.listed = listed;
  upstream.remote = remote;
  upstream.digests = digests;
}

function describe(error: unknown): string {
  const { code, name, message, errors } = error as {
    code?: string;
    name?: string;
    message?: string;
    errors?: { code?: string }[];
  };
  return code ?? errors?.[0]?.code ?? (name === 'TimeoutError' ? 'it does not answer in time' : (message ?? 'unknown'));
}
