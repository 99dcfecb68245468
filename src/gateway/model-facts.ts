// What each model server says of its models, as far as the gate has looked. Only calls to that server follow it, since a
// server that lies, or that somebody has filled with odd models, would otherwise decide for the calls to all of them.
import { GatewayError } from '../domain/error.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/server.ts';
import { ContextSizes } from './context-size.ts';

export interface ServerFacts {
  /** Whichever object stands for it. */
  readonly server: object;
  readonly contexts: Pick<ContextSizes, 'settle'>;
  /** The `num_predict` that the model's own parameters set, where that is known and ends. */
  readonly answerTokens: (model: string) => number | undefined;
}

/** Of every server that takes calls, in the order in which they were added. */
export type ModelFacts = readonly ServerFacts[];

/** The facts of the servers of a registry, as servers come and go. */
export class RegistryFacts {
  readonly #registry: Pick<UpstreamRegistry, 'servers'>;
  readonly #nowMs: () => MonotonicMs;
  #servers: readonly Upstream[] = [];
  #facts: ModelFacts = [];

  constructor(registry: Pick<UpstreamRegistry, 'servers'>, nowMs: () => MonotonicMs) {
    this.#registry = registry;
    this.#nowMs = nowMs;
  }

  /** A server that stays keeps its facts, and with them what calls to it were just sent with. */
  get now(): ModelFacts {
    const { servers } = this.#registry;
    if (servers !== this.#servers) {
      const before = new Map(this.#facts.map((facts) => [facts.server, facts]));
      this.#facts = servers.map((server) => before.get(server) ?? this.#factsOf(server));
      this.#servers = servers;
    }
    return this.#facts;
  }

  #factsOf(server: Upstream): ServerFacts {
    const loaded = (model: string): number | undefined =>
      server.health.up === true ? server.details.contextOf(model) : undefined;
    return {
      server,
      contexts: new ContextSizes(loaded, this.#nowMs),
      answerTokens: (model) => server.details.answerTokensOf(model),
    };
  }
}

/** Every server was drained or removed, and no other has been added yet. */
export const noServer = (): GatewayError =>
  new GatewayError('upstream_unreachable', { message: 'No model server takes calls now.' });
