// Compares how long servers take to begin their streams with the same model. A server that answers probes but begins far later
// than another one is marked as slow, which only ranks it lower. Prompts differ in length, and a first call loads the model,
// so the quickest of a server's last five beginnings counts: it is long only where all five are.
import type { Health } from './health.ts';

/** What is compared. */
interface Compared {
  readonly health: Pick<Health, 'slow'> & { slow: boolean };
}

class Beginnings {
  readonly #ms: number[] = [];
  #at = 0;
  /** The quickest of the last ones; undefined before there are enough. */
  quickestMs: number | undefined;
  lastAtMs = 0;

  note(ms: number, nowMs: number): void {
    this.#ms[this.#at] = ms;
    this.#at = (this.#at + 1) % kept;
    if (this.#ms.length === kept) this.quickestMs = Math.min(...this.#ms);
    this.lastAtMs = nowMs;
  }
}

const kept = 5;
/** A server is slow from here on, if it also takes this many times as long as the quickest. */
const slowMs = 1_000;
const slowTimes = 4;
/** Older figures say nothing about now. */
const freshMs = 10 * 60_000;
/** Models that servers have answered with; far more than there are. */
const mostModels = 10_000;

export class FirstTokens {
  /** False while there is only one server. */
  compares = false;
  readonly #byModel = new Map<string, Map<Compared, Beginnings>>();

  note(server: Compared, model: string, ms: number): void {
    if (!this.compares) return;
    const nowMs = performance.now();
    let servers = this.#byModel.get(model);
    if (!servers) {
      if (this.#byModel.size >= mostModels) this.#byModel.clear();
      this.#byModel.set(model, (servers = new Map()));
    }
    let beginnings = servers.get(server);
    if (!beginnings) servers.set(server, (beginnings = new Beginnings()));
    beginnings.note(ms, nowMs);
    compare(servers, nowMs);
  }

  forget(server: Compared): void {
    for (const servers of this.#byModel.values()) servers.delete(server);
  }
}

function compare(servers: ReadonlyMap<Compared, Beginnings>, nowMs: number): void {
  let quickest = Infinity;
  for (const { quickestMs, lastAtMs } of servers.values())
    if (quickestMs !== undefined && quickestMs < quickest && nowMs - lastAtMs < freshMs) quickest = quickestMs;
  const bound = Math.max(slowMs, slowTimes * quickest);
  for (const [{ health }, { quickestMs, lastAtMs }] of servers)
    if (quickestMs !== undefined) health.slow = quickestMs > bound && nowMs - lastAtMs < freshMs;
}
