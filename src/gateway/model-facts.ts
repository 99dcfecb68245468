// What each model server reports about its models, as far as the gateway has asked. It only affects calls to that server, so that a
// lying server, or one with strange models, cannot affect calls to the others.
import { GatewayError } from '../domain/error.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/server.ts';
import { ContextSizes } from './context-size.ts';
import type { Operation } from './dialects/dialect.ts';

export interface ServerFacts {
  readonly server: Upstream;
  readonly contexts: Pick<ContextSizes, 'settle' | 'within'>;
  /** The `num_predict` that the model's own parameters set; undefined if that is unknown or unlimited. */
  readonly answerTokens: (model: string) => number | undefined;
  readonly mayHave: (operation: Operation) => boolean;
}

/** Of every server that takes calls, in the order in which they were added. */
export type ModelFacts = readonly ServerFacts[];

/** The facts of the servers of a registry, also as servers come and go. */
export class RegistryFacts {
  readonly #registry: Pick<UpstreamRegistry, 'servers'>;
  readonly #nowMs: () => MonotonicMs;
  #servers: readonly Upstream[] = [];
  #facts: ModelFacts = [];

  constructor(registry: Pick<UpstreamRegistry, 'servers'>, nowMs: () => MonotonicMs) {
    this.#registry = registry;
    this.#nowMs = nowMs;
  }

  /** The same array until servers change. A server that stays keeps its facts, and so the contexts of its recent calls. */
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
      mayHave: (operation) => hasRoute(server, operation),
    };
  }
}

/** A list of models is merged from what servers of every kind say, whatever routes they have. */
export const hasRoute = (server: Pick<Upstream, 'mayHave'>, { path, reply }: Operation): boolean =>
  reply.list !== undefined || server.mayHave(path);

/** The error for calls while every server is drained or removed. */
export const noServer = (): GatewayError =>
  new GatewayError('upstream_unreachable', { message: 'No model server is accepting calls.' });
