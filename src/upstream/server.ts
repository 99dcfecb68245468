// One model server behind the gate: its name, connections, health, kind and models, and how many calls it works on. It does
// not decide which of several servers gets a call (choice.ts).
import type { ModelServer } from '../domain/model-server.ts';
import type { HealthState } from '../domain/server-status.ts';
import { Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import type { LoadTimes } from './estimate/load-times.ts';
import type { FirstTokens } from './first-tokens.ts';
import { Health, type Probed } from './health.ts';
import { Busy, Loading, NoList, Refused } from './json-route.ts';
import type { Listed, ModelDetails, ServerQueue, UpstreamKind } from './kind.ts';
import { kinds, probeOf, type Recognizable } from './kinds.ts';
import { type KnownModels, knownFrom, noneKnown } from './known-models.ts';
import { Screen } from './screen.ts';

/** What the settings say about a server. */
export interface ServerEntry {
  readonly url: URL;
  /** Reads its credentials from their files. @throws CredentialsUnusable */
  readonly readCredentials: () => Credentials;
  /** False: the field `stream_options` is never sent to it. */
  readonly takesStreamOptions: boolean;
  /** Undefined for a server of the settings. */
  readonly terms?: ServerTerms;
}

/** How a server takes part; an operator may change it while it serves. */
export interface ServerTerms extends Pick<ModelServer, 'name' | 'weight' | 'slots' | 'plans' | 'accounts'> {
  /** Undefined: it is found out. */
  readonly kind: UpstreamKind | undefined;
}

const usualTerms: ServerTerms = { name: '', kind: undefined, weight: 1, slots: null, plans: null, accounts: null };

export interface ServerSettings {
  readonly connectTimeoutMs: number;
  readonly probeIntervalMs: number;
}

/** `changes`: how often the state changed since the last report. */
export type OnTurn = (upstream: Upstream, state: HealthState, reason: string, changes: number) => void;

const probeTimeoutMs = 5_000;

export class Upstream implements Recognizable {
  entry: ServerEntry;
  /** Scheme, host and port; its name in logs and in the ledger. */
  readonly name: string;
  /** Prefix of every path, for a server behind a path; usually empty. */
  readonly basePath: string;
  readonly health: Health;
  /** The other servers, to compare it with. */
  readonly peers: FirstTokens;
  readonly #loadTimes: LoadTimes<Upstream>;
  credentials: Credentials;
  /** Checks its error texts before callers read them. */
  screen: Screen;
  models: KnownModels = noneKnown;
  details: ModelDetails = kinds[0].openDetails();
  /** False: it is draining or removed and gets no further call. */
  takesCalls = true;
  /** The number of calls that it works on. */
  inFlight = 0;
  /** Called when it turns out to have other routes, such as those of another kind. */
  onKind: () => void = () => undefined;
  /** Called when it lists other models than before. */
  onModels: () => void = () => undefined;
  /** Called after each change of `health`, `inFlight`, `others`, `revision` or `lookedMs`. */
  onChange: () => void = () => undefined;
  /** Changes whenever models, details or terms have changed; a look that shows nothing new changes nothing. */
  revision = 0;
  /** Calls of its other clients, as of the last look. */
  others: ServerQueue = noQueue;
  /** When its details were last asked for, by `performance.now()`. */
  lookedMs = -Infinity;
  readonly #connection: Connection;
  #takesStreamOptions: boolean;
  #recognized: UpstreamKind | undefined;
  /** Paths of routes that it has shown to lack, although its kind does not rule them out. */
  readonly #lacking = new Set<string>();
  #idle: PromiseWithResolvers<void> | undefined;
  /** What the last look showed. */
  #shown = '';

  /** @throws CredentialsUnusable */
  constructor(
    entry: ServerEntry,
    settings: ServerSettings,
    onTurn: OnTurn,
    peers: FirstTokens,
    loadTimes: LoadTimes<Upstream>,
  ) {
    const { url } = entry;
    this.entry = entry;
    this.peers = peers;
    this.#loadTimes = loadTimes;
    this.name = url.origin;
    // Addresses of OpenAI-compatible servers are often given with the /v1 of their routes.
    this.basePath = url.pathname.replace(/\/(?:v1\/?)?$/, '');
    this.credentials = entry.readCredentials();
    this.screen = new Screen(this.credentials, url);
    this.#takesStreamOptions = entry.takesStreamOptions;
    this.#connection = new Connection(url.origin, settings.connectTimeoutMs, this.credentials);
    this.health = new Health({
      probe: () => this.#probe(),
      afterwards: () => this.#look(),
      intervalMs: settings.probeIntervalMs,
      onTurn: (state, reason, changes) => onTurn(this, state, reason, changes),
    });
    this.health.onChange = () => this.onChange();
  }

  get terms(): ServerTerms {
    return this.entry.terms ?? usualTerms;
  }

  get givenKind(): UpstreamKind | undefined {
    return this.terms.kind;
  }

  get dispatcher(): Connection['dispatcher'] {
    return this.#connection.dispatcher;
  }

  openNew(): ReturnType<Connection['openNew']> {
    return this.#connection.openNew();
  }

  /** The given kind, or the first of the list, until it has been recognized. */
  get kind(): UpstreamKind {
    return this.#recognized ?? this.givenKind ?? kinds[0];
  }

  /** For display; undefined until it has been recognized. */
  get kindName(): string | undefined {
    return this.#recognized?.name;
  }

  /** It may have the route at this canonical path: neither its kind nor what it answered rules that out. */
  mayHave(path: string): boolean {
    return !this.#lacking.has(path) && (this.#recognized?.paths?.has(path) ?? true);
  }

  /** Servers with the same object have the same routes. */
  get routes(): object {
    return this.#lacking.size > 0 ? this : this.kind;
  }

  /** It has answered that it lacks the route at this canonical path. Holds until it turns out to be of another kind. */
  noteLack(path: string): void {
    if (this.#lacking.has(path)) return;
    this.#lacking.add(path);
    this.onKind();
  }

  recognize(kind: UpstreamKind | undefined): void {
    const before = this.kind;
    const recognized = this.#recognized;
    this.#recognized = kind;
    if (this.kind !== before) this.details = this.kind.openDetails();
    if (kind === recognized) return;
    this.#lacking.clear();
    this.onKind();
  }

  /** May be sent `stream_options`: its kind takes the field, the settings allow it, and the server has not refused it. */
  get takesStreamOptions(): boolean {
    return this.#takesStreamOptions && this.kind.usage.takesStreamOptions;
  }

  /** The server has refused `stream_options`; the field is not sent again. */
  leaveStreamOptionsOut(): void {
    this.#takesStreamOptions = false;
  }

  /** For new connections; open ones stay. */
  renew(credentials: Credentials): void {
    this.credentials = credentials;
    this.screen = new Screen(credentials, this.entry.url);
    this.#connection.renew(credentials);
    this.health.renewed();
  }

  /** The same server with other terms and credentials. */
  change(entry: ServerEntry, credentials: Credentials): void {
    const { kind, givenKind } = this;
    this.entry = entry;
    this.#revise();
    this.renew(credentials);
    if (this.givenKind === givenKind) return;
    this.#recognized = undefined;
    this.#know(noneKnown);
    if (this.kind === kind) return;
    this.details = this.kind.openDetails();
    this.#revise();
  }

  /** Call when a call is sent to it. */
  begin(): void {
    this.inFlight++;
    this.onChange();
  }

  /** Call once for each `begin`, when the server is done with the call. */
  finish(): void {
    this.inFlight--;
    this.onChange();
    if (this.inFlight > 0 || !this.#idle) return;
    this.#idle.resolve();
    this.#idle = undefined;
  }

  /** Resolves when it works on no call. A call that is sent to it once more has not ended. */
  async whenIdle(): Promise<void> {
    while (this.inFlight > 0) await (this.#idle ??= Promise.withResolvers<void>()).promise;
  }

  /** Ends its probes and its connections. */
  async close(): Promise<void> {
    this.health.stop();
    await this.#connection.close();
  }

  /** A kept connection that has ended is no reason to be down; the list is read once more. */
  async #probe(): Promise<Probed> {
    const probed = await this.#readList();
    return probed.reason === 'UND_ERR_SOCKET' || probed.reason === 'ECONNRESET' ? this.#readList() : probed;
  }

  async #readList(): Promise<Probed> {
    let list: readonly Listed[];
    try {
      list = await probeOf(this, AbortSignal.timeout(probeTimeoutMs));
    } catch (error) {
      // A server without a list is up all the same.
      if (error instanceof NoList && !(error instanceof Refused)) return answers;
      if (error instanceof Busy) return { state: 'busy', reason: error.message, waitMs: error.waitMs };
      return { state: stateOf(error), reason: describe(error) };
    }
    this.#know(knownFrom(list));
    this.#noteLoaded();
    return answers;
  }

  /**
   * How long a server that answers that it is loading will still be at it, for a call for this model; undefined if that is not
   * known, or if it is not loading.
   */
  loadLeftMs(model: string | undefined): number | undefined {
    const { state, sinceMs } = this.health;
    const loads = this.models.listed.length === 1 ? [...(this.models.names ?? [])][0] : model;
    if (state !== 'loading' || loads === undefined) return undefined;
    const now = performance.now();
    const usualMs = this.#loadTimes.usualMs(this, loads, now);
    if (usualMs === undefined) return undefined;
    const left = sinceMs + usualMs - now;
    // What takes longer than expected probably takes half as long again.
    return left > 0 ? left : -left / 2;
  }

  /** It has its one model in memory after it was loading. */
  #noteLoaded(): void {
    const { state, sinceMs } = this.health;
    const [model, ...others] = this.models.names ?? [];
    const now = performance.now();
    if (state === 'loading' && model !== undefined && others.length === 0)
      this.#loadTimes.note(this, model, now - sinceMs, now);
  }

  #know(models: KnownModels): void {
    const before = this.models;
    this.models = models;
    if (!sameModels(before, models)) this.#revise();
    if (!sameNames(before.names, models.names)) this.onModels();
  }

  async #look(): Promise<void> {
    const from = performance.now();
    const before = this.inFlight;
    await this.details.look(this, this.models, before > 0);
    this.lookedMs = from;
    this.others = othersIn(this.details.queue, Math.max(before, this.inFlight));
    const shown = shownBy(this.details);
    if (shown !== this.#shown) this.revision++;
    this.#shown = shown;
    this.onChange();
  }

  #revise(): void {
    this.revision++;
    this.onChange();
  }
}

const sameNames = (a: KnownModels['names'], b: KnownModels['names']): boolean =>
  a === b || (a !== undefined && b !== undefined && a.size === b.size && [...a].every((name) => b.has(name)));

const sameModels = (a: KnownModels, b: KnownModels): boolean =>
  sameNames(a.names, b.names) &&
  sameNames(a.remote, b.remote) &&
  sameFigures(a.sizes, b.sizes) &&
  sameFigures(a.contexts, b.contexts);

const sameFigures = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean =>
  a.size === b.size && [...a].every(([name, figure]) => b.get(name) === figure);

/** What the details say about models, as far as a choice depends on it. */
const shownBy = (details: ModelDetails): string =>
  [
    details.loaded === undefined,
    details.slotsOf(''),
    ...[...(details.loaded ?? [])].flatMap(([name, bytes]) => [name, bytes, details.contextOf(name)]),
  ].join(' ');

const noQueue: ServerQueue = { running: 0, waiting: 0 };

/** Without the gateway's own calls, which are counted as they are sent: those run rather than wait, as far as is known. */
function othersIn(queue: ServerQueue | undefined, own: number): ServerQueue {
  if (queue === undefined) return noQueue;
  const running = Math.max(0, queue.running - own);
  const ownWaiting = Math.max(0, own - queue.running);
  return { running, waiting: Math.max(0, queue.waiting - ownWaiting) };
}

const answers: Probed = { state: 'up', reason: 'it answers' };

const stateOf = (error: unknown): Probed['state'] =>
  error instanceof Loading ? 'loading' : error instanceof Refused ? 'refused' : 'down';

function describe(error: unknown): string {
  const { code, name, message, errors } = error as {
    code?: string;
    name?: string;
    message?: string;
    errors?: { code?: string }[];
  };
  return code ?? errors?.[0]?.code ?? (name === 'TimeoutError' ? 'it does not answer in time' : (message ?? 'unknown'));
}
