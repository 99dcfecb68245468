// One model server behind the gate: its name, its connections, its health, its kind and what it last said of its models,
// and the calls that it works on. Which of several gets a call is for others to say (choice.ts).
import { Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { Health } from './health.ts';
import { NoList } from './json-route.ts';
import type { Listed, ModelDetails, UpstreamKind } from './kind.ts';
import { kinds, probeOf, type Recognisable } from './kinds.ts';
import { type KnownModels, knownFrom, noneKnown } from './known-models.ts';
import { Screen } from './screen.ts';

/** What is known of a server before it is asked. */
export interface ServerEntry {
  readonly url: URL;
  /** Reads the files that say what the gate shows there. @throws CredentialsUnusable */
  readonly readCredentials: () => Credentials;
  /** It takes `stream_options`, as far as the settings say. */
  readonly takesStreamOptions: boolean;
}

export interface ServerSettings {
  readonly connectTimeoutMs: number;
  readonly probeIntervalMs: number;
}

export type OnTurn = (upstream: Upstream, up: boolean, reason: string) => void;

const probeTimeoutMs = 5_000;

export class Upstream implements Recognisable {
  readonly entry: ServerEntry;
  /** Scheme, host and port: what logs and the ledger call it. */
  readonly name: string;
  /** Path before every route, for a server that lives under one; usually empty. */
  readonly basePath: string;
  readonly health: Health;
  credentials: Credentials;
  /** Judges what it says of its failures. */
  screen: Screen;
  models: KnownModels = noneKnown;
  details: ModelDetails = kinds[0].openDetails();
  /** False: it is draining or removed, and no call is sent there that is not there already. */
  takesCalls = true;
  /** Calls that it works on. */
  inFlight = 0;
  readonly #connection: Connection;
  #takesStreamOptions: boolean;
  #recognised: UpstreamKind | undefined;
  #idle: PromiseWithResolvers<void> | undefined;

  /** @throws CredentialsUnusable */
  constructor(entry: ServerEntry, settings: ServerSettings, onTurn: OnTurn) {
    const { url } = entry;
    this.entry = entry;
    this.name = url.origin;
    // Addresses of the OpenAI family are often given with the /v1 that its routes begin with.
    this.basePath = url.pathname.replace(/\/(?:v1\/?)?$/, '');
    this.credentials = entry.readCredentials();
    this.screen = new Screen(this.credentials, url);
    this.#takesStreamOptions = entry.takesStreamOptions;
    this.#connection = new Connection(url.origin, settings.connectTimeoutMs, this.credentials);
    this.health = new Health({
      probe: () => this.#probe(),
      afterwards: () => this.details.look(this, this.models.digests),
      intervalMs: settings.probeIntervalMs,
      onTurn: (up, reason) => onTurn(this, up, reason),
    });
  }

  get dispatcher(): Connection['dispatcher'] {
    return this.#connection.dispatcher;
  }

  anew(): ReturnType<Connection['anew']> {
    return this.#connection.anew();
  }

  /** The first of the list as long as it has not been recognised. */
  get kind(): UpstreamKind {
    return this.#recognised ?? kinds[0];
  }

  /** For people: undefined as long as nobody knows. */
  get kindName(): string | undefined {
    return this.#recognised?.name;
  }

  recognise(kind: UpstreamKind | undefined): void {
    const before = this.kind;
    this.#recognised = kind;
    if (this.kind !== before) this.details = this.kind.openDetails();
  }

  /** The gate may ask for the usage of a stream by that field: neither its kind, the settings nor the server refuse it. */
  get takesStreamOptions(): boolean {
    return this.#takesStreamOptions && this.kind.usage.takesStreamOptions;
  }

  /** It has refused the field. */
  leaveStreamOptionsOut(): void {
    this.#takesStreamOptions = false;
  }

  /** For connections to come; those that are open stay. */
  renew(credentials: Credentials): void {
    this.credentials = credentials;
    this.screen = new Screen(credentials, this.entry.url);
    this.#connection.renew(credentials);
  }

  /** A call goes there. */
  begin(): void {
    this.inFlight++;
  }

  /** To be called once for each `begin`. */
  finish(): void {
    this.inFlight--;
    if (this.inFlight > 0 || !this.#idle) return;
    this.#idle.resolve();
    this.#idle = undefined;
  }

  /** Resolves when it works on no call. One that is repeated there has not ended. */
  async whenIdle(): Promise<void> {
    while (this.inFlight > 0) await (this.#idle ??= Promise.withResolvers<void>()).promise;
  }

  /** Ends its probes and its connections. */
  async close(): Promise<void> {
    this.health.stop();
    await this.#connection.close();
  }

  /** Why it does not answer, or undefined. A kept connection that has ended says nothing yet. */
  async #probe(): Promise<string | undefined> {
    const reason = await this.#readList();
    return reason === 'UND_ERR_SOCKET' || reason === 'ECONNRESET' ? this.#readList() : reason;
  }

  async #readList(): Promise<string | undefined> {
    let list: readonly Listed[];
    try {
      list = await probeOf(this, AbortSignal.timeout(probeTimeoutMs));
    } catch (error) {
      // It answers, if not with a list.
      return error instanceof NoList ? undefined : describe(error);
    }
    this.models = knownFrom(list);
    return undefined;
  }
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
