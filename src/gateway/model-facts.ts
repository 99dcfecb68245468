// What each model server reports about its models, as far as it is known. Applies only to calls to that server;
// otherwise a server that lies, or that has unusual models, would affect the calls to all others.
import { GatewayError } from '../domain/error.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/server.ts';
import { ContextSizes } from './context-size.ts';

export interface ServerFacts {
  /** Any object that identifies the server. */
  readonly server: object;
  readonly contexts: Pick<ContextSizes, 'settle'>;
  /** The `num_predict` of the model's own parameters, if it is known and finite. */
  readonly answerTokens: (model: string) => number | undefined;
}

/** For every server that takes calls, in the order of addition. */
export type ModelFacts = readonly ServerFacts[];

/** The facts about a registry's servers, as they are added and removed. */
export class RegistryFacts {
  readonly #registry: Pick<UpstreamRegistry, 'servers'>;
  readonly #nowMs: () => MonotonicMs;
  #servers: readonly Upstream[] = [];
  #facts: ModelFacts = [];

  constructor(registry: Pick<UpstreamRegistry, 'servers'>, nowMs: () => MonotonicMs) {
    this.#registry = registry;
    this.#nowMs = nowMs;
  }

  /** A server that stays keeps its facts, including the contexts that were just sent to it. */
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

/** Every server was drained or removed, and none has been added. */
export const noServer = (): GatewayError =>
  new GatewayError('upstream_unreachable', { message: 'No model server takes calls now.' });
