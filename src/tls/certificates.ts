// The certificates of the gateway by their names. They can be replaced at any time; a handshake uses the current ones, and existing
// connections keep theirs.
import type { SecureContext } from 'node:tls';
import { type Pair, trustOf } from './pair.ts';

export class Certificates {
  #pairs: readonly Pair[] = [];
  #byName: ReadonlyMap<string, Pair> = new Map();
  readonly #listeners: ((first: Pair) => void)[] = [];
  readonly #trustListeners: (() => void)[] = [];

  /** The first is for callers who name no host, or an unknown one. */
  get first(): Pair | undefined {
    return this.#pairs[0];
  }

  get pairs(): readonly Pair[] {
    return this.#pairs;
  }

  /** Calls the listener when the accepted client authorities have changed or have ended. */
  onTrust(listener: () => void): void {
    this.#trustListeners.push(listener);
  }

  /** An authority or a revocation list has expired, and with it earlier decisions. */
  endTrust(): void {
    for (const listener of this.#trustListeners) listener();
  }

  onChange(listener: (first: Pair) => void): void {
    this.#listeners.push(listener);
  }

  /** Never empty; if several match a name, the first is used. */
  replace(pairs: readonly [Pair, ...Pair[]]): void {
    const byName = new Map<string, Pair>();
    for (const pair of pairs) for (const name of pair.names) if (!byName.has(name)) byName.set(name, pair);
    const before = this.first && trustOf(this.first);
    this.#pairs = pairs;
    this.#byName = byName;
    for (const listener of this.#listeners) listener(pairs[0]);
    if (before !== undefined && before !== trustOf(pairs[0])) this.endTrust();
  }

  /** For the name of a ClientHello, which may be anything. Undefined: use the first. Never throws (CVE-2026-21637). */
  contextFor(serverName: string): SecureContext | undefined {
    if (serverName.length > 253) return undefined;
    const name = serverName.toLowerCase().replace(/\.$/, '');
    const exact = this.#byName.get(name);
    if (exact) return exact.context;
    const dot = name.indexOf('.');
    return dot < 0 ? undefined : this.#byName.get(`*${name.slice(dot)}`)?.context;
  }
}
