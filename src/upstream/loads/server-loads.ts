// The loads of one model server, one after the other: a server with memory for one model would otherwise load several in turns.
// It remembers for a while which models it has loaded, since the server's list of them is read only now and then, and which it
// could not load, so that the calls that wait for those fail with the first one.
import type { LoadTimes } from '../estimate/load-times.ts';
import type { UpstreamKind } from '../kind.ts';
import type { Upstream } from '../server.ts';
import type { Load, LoadEnd } from './load.ts';
import { LoadFailed } from './load-failed.ts';

/** Longer than a list of loaded models is old. */
const warmMs = 30_000;
/** How long calls for a model that could not be loaded fail at once. */
const failedMs = 10_000;
/** How long the server is not asked again for a load that it refused. */
const unguidedMs = 10 * 60_000;
/** A kept connection that had ended shows at once. */
const staleMs = 1_000;
const mostModels = 1_000;

export class ServerLoads {
  readonly #server: Upstream;
  readonly #mostMs: () => number;
  readonly #times: LoadTimes<Upstream>;
  /** By model, the running one first. */
  readonly #loads = new Map<string, Load>();
  /** Until when a model counts as loaded, by model. */
  readonly #warm = new Map<string, number>();
  readonly #failed = new Map<string, { readonly untilMs: number; readonly key: string; readonly end: LoadEnd }>();
  #runs = false;

  constructor(server: Upstream, mostMs: () => number, times: LoadTimes<Upstream>) {
    this.#server = server;
    this.#mostMs = mostMs;
    this.#times = times;
  }

  /** In the order in which they will be done. */
  get loads(): readonly Load[] {
    return [...this.#loads.values()];
  }

  isWarm(model: string): boolean {
    const untilMs = this.#warm.get(model);
    return untilMs !== undefined && performance.now() < untilMs;
  }

  /** The load that runs or is to run for the model; one that has just failed with the same options fails at once. */
  join(model: string, key: string, open: () => Load): Load {
    const found = this.#loads.get(model);
    if (found) return found;
    const load = open();
    const failed = this.#failed.get(model);
    if (failed?.key === key && performance.now() < failed.untilMs) {
      load.end(failed.end);
      return load;
    }
    this.#failed.delete(model);
    this.#loads.set(model, load);
    this.#expect();
    void this.#runAll();
    return load;
  }

  async #runAll(): Promise<void> {
    if (this.#runs) return;
    this.#runs = true;
    // The call that wants the first one has not said so yet.
    await Promise.resolve();
    for (let load = this.#next(); load; load = this.#next()) {
      // If the calls that wanted it have left before it began, it is not done.
      if (load.waiting > 0) await this.#run(load);
      this.#loads.delete(load.model);
    }
    this.#runs = false;
  }

  #next(): Load | undefined {
    return this.#loads.values().next().value;
  }

  async #run(load: Load): Promise<void> {
    load.startedMs = performance.now();
    this.#expect();
    const { loads } = this.#server.kind;
    load.end(loads ? await this.#ask(load, loads) : { kind: 'ready' });
  }

  async #ask(load: Load, loads: NonNullable<UpstreamKind['loads']>): Promise<LoadEnd> {
    const { model } = load;
    const from = performance.now();
    const signal = AbortSignal.timeout(this.#times.boundMs(this.#server, model, this.#mostMs()));
    const ask = (): Promise<boolean> => loads.load(this.#server, load.spelled, load.wants, load.via, signal);
    try {
      const isLoaded = await ask().catch((error: unknown) => {
        if (!isStale(error) || performance.now() - from > staleMs) throw error;
        return ask();
      });
      if (isLoaded) this.#noteLoaded(model, performance.now() - from);
      this.#remember(this.#warm, model, performance.now() + (isLoaded ? warmMs : unguidedMs));
      return { kind: 'ready' };
    } catch (error) {
      const end = this.#endOf(error, signal);
      if (end.kind !== 'ready')
        this.#remember(this.#failed, model, { untilMs: performance.now() + failedMs, key: load.key, end });
      return end;
    }
  }

  /** Another model may have had to leave. */
  #noteLoaded(model: string, ms: number): void {
    this.#times.note(this.#server, model, ms, performance.now());
    this.#warm.clear();
    this.#server.health.hurry();
  }

  #endOf(error: unknown, signal: AbortSignal): LoadEnd {
    const { health, takesCalls } = this.#server;
    // Calls find another server by themselves.
    if (!takesCalls || isUnreached(error)) return { kind: 'ready' };
    if (error instanceof LoadFailed) {
      health.answered(error.status);
      return { kind: 'failed', status: error.status, body: error.body };
    }
    health.doubt(signal.aborted ? 'a model took too long to load' : 'a load broke there');
    return { kind: signal.aborted ? 'late' : 'broke' };
  }

  /** Works out when each load will be over. */
  #expect(): void {
    const nowMs = performance.now();
    let atMs: number | undefined = nowMs;
    for (const load of this.#loads.values()) {
      const usualMs = this.#times.usualMs(this.#server, load.model, nowMs);
      const fromMs: number | undefined = load.startedMs ?? atMs;
      atMs = usualMs === undefined || fromMs === undefined ? undefined : fromMs + usualMs;
      load.expectedMs = atMs;
    }
  }

  #remember<Value>(known: Map<string, Value>, model: string, value: Value): void {
    if (known.size >= mostModels) known.clear();
    known.set(model, value);
  }
}

const codeOf = (error: unknown): string => {
  const { code, errors } = error as { code?: string; errors?: { code?: string }[] };
  return code ?? errors?.[0]?.code ?? '';
};

/** A kept connection that had ended. */
const isStale = (error: unknown): boolean => /^(?:UND_ERR_SOCKET|ECONNRESET|EPIPE)$/.test(codeOf(error));

/** No connection was made. */
const isUnreached = (error: unknown): boolean =>
  /^(?:ECONNREFUSED|EHOST|ENET|ENOTFOUND|EAI_|UND_ERR_CONNECT|ERR_TLS|ERR_SSL|EPROTO)|CERT|SELF_SIGNED|UNABLE_TO_/.test(
    codeOf(error),
  );
