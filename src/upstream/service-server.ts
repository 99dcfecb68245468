// One server of a published service: its connections and credentials, whether it answers, and how many calls it works on. It
// is no model server: nothing is known of what it serves but what its route says.
import type { ServiceRoute } from '../domain/service-route.ts';
import { Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';

/** A server's part of a route. */
export interface ServiceServerSettings extends Pick<ServiceRoute, 'host' | 'healthPath' | 'times'> {
  readonly address: string;
  readonly credentials: Credentials;
}

export type ServiceServerState = 'unknown' | 'up' | 'doubtful' | 'down';

const probeMs = 5_000;
const probeTimeoutMs = 5_000;
/** How long other servers are preferred after a call broke here, if no probe says more. */
const doubtMs = 5_000;

export class ServiceServer {
  /** Scheme, host and port; its name in logs and in the ledger. */
  readonly name: string;
  /** Prefix of every path; usually empty. */
  readonly basePath: string;
  /** What it sees as Host; undefined: the one in its address. */
  readonly host: string | undefined;
  readonly credentials: Credentials;
  inFlight = 0;
  /** Why it is not up. */
  reason: string | undefined;
  /** By `performance.now()`. */
  sinceMs = performance.now();
  readonly #connection: Connection;
  readonly #healthPath: string | null;
  #state: Exclude<ServiceServerState, 'doubtful'> = 'unknown';
  #doubtUntilMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #idle: (() => void) | undefined;

  constructor({ address, host, credentials, healthPath, times }: ServiceServerSettings) {
    const url = new URL(address);
    this.name = url.origin;
    this.basePath = url.pathname.replace(/\/+$/, '');
    this.host = host ?? undefined;
    this.credentials = credentials;
    this.#healthPath = healthPath;
    this.#connection = new Connection(url.origin, times.connectSeconds * 1000, credentials);
    if (healthPath !== null) void this.#watch(healthPath);
  }

  get dispatcher(): Connection['dispatcher'] {
    return this.#connection.dispatcher;
  }

  openNew(): ReturnType<Connection['openNew']> {
    return this.#connection.openNew();
  }

  get state(): ServiceServerState {
    return this.#state !== 'down' && performance.now() < this.#doubtUntilMs ? 'doubtful' : this.#state;
  }

  /** Call when the connection failed, or broke before an answer began. */
  doubt(reason: string): void {
    if (this.state === 'down') return;
    this.#doubtUntilMs = performance.now() + doubtMs;
    this.reason = reason;
    if (this.#healthPath !== null) this.#lookIn(this.#healthPath, 100);
  }

  begin(): void {
    this.inFlight++;
  }

  finish(): void {
    this.inFlight--;
    if (this.inFlight === 0) this.#idle?.();
  }

  /** Ends its probes, and its connections once no call uses them. Resolves then. */
  async retire(withinMs: number, endCalls: () => void): Promise<void> {
    this.#stopProbes();
    if (this.inFlight > 0) {
      const idle = new Promise<void>((resolve) => (this.#idle = resolve));
      const timer = setTimeout(endCalls, withinMs).unref();
      await idle;
      clearTimeout(timer);
    }
    await this.#connection.close();
  }

  /** Ends everything at once. */
  close(): Promise<void> {
    this.#stopProbes();
    return this.#connection.close();
  }

  #stopProbes(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #watch(path: string): Promise<void> {
    const reason = await this.#probe(path);
    if (this.#stopped) return;
    const state = reason === undefined ? 'up' : 'down';
    if (state === 'up') this.#doubtUntilMs = 0;
    this.reason = reason;
    if (this.#state !== state) {
      this.#state = state;
      this.sinceMs = performance.now();
    }
    this.#lookIn(path, state === 'up' ? probeMs : 1_000);
  }

  #lookIn(path: string, ms: number): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#watch(path), ms).unref();
  }

  /** Why it is not up; undefined if it is. */
  async #probe(path: string): Promise<string | undefined> {
    try {
      const { statusCode, body } = await this.dispatcher.request({
        method: 'GET',
        path: this.basePath + path,
        headers: [...(this.host === undefined ? [] : ['host', this.host]), ...this.credentials.headers],
        signal: AbortSignal.timeout(probeTimeoutMs),
      });
      await body.dump({ limit: 65_536 });
      return statusCode >= 200 && statusCode < 400 ? undefined : `its health path answers with status ${statusCode}`;
    } catch (error) {
      return (error as { code?: string }).code ?? (error as Error).name;
    }
  }
}

/** Those to try for one call: the one whose slot it holds, if any, then the others in case it cannot be reached. */
export function tryOrder(servers: readonly ServiceServer[], held: ServiceServer | undefined): readonly ServiceServer[] {
  const ranked = rankServers(servers);
  return held === undefined ? ranked : [held, ...ranked.filter((server) => server !== held)];
}

/** Those that answer first, then those with the fewest calls. */
export function rankServers(servers: readonly ServiceServer[]): readonly ServiceServer[] {
  return servers.length > 1 ? servers.toSorted((a, b) => worth(a) - worth(b) || a.inFlight - b.inFlight) : servers;
}

const worth = ({ state }: ServiceServer): number => (state === 'down' ? 2 : state === 'doubtful' ? 1 : 0);
