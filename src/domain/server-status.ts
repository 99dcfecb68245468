// What the management plane may ask about the model servers of this gate. The data plane knows; the composition root
// connects the two.
import type { ServerId } from './id.ts';
import type { ModelServer } from './model-server.ts';

/**
 * `unknown`: not probed yet. `doubtful`: calls have just gone wrong there. `loading`: it answers that it is loading its model.
 * `refused`: it does not accept the gateway's secret. `busy`: it asked to be left alone for a while.
 */
export const healthStates = ['unknown', 'up', 'doubtful', 'loading', 'refused', 'busy', 'down'] as const;
export type HealthState = (typeof healthStates)[number];

/**
 * `draining`: it gets no new calls, and some still run. `maintenance`: an operator has taken it out, and none runs.
 * `unusable`: its address or files cannot be used.
 */
export const serverStates = [...healthStates, 'draining', 'maintenance', 'unusable'] as const;
export type ServerState = (typeof serverStates)[number];

export interface ServerStatus {
  readonly state: ServerState;
  /** Unix milliseconds. */
  readonly since: number | null;
  /** Why it does not get all calls. */
  readonly reason: string | null;
  /** As the server was recognised; null as long as it was not. */
  readonly detectedKind: string | null;
  /** As it spells them. */
  readonly models: readonly string[];
  readonly inFlight: number;
}

/** A server of the settings. */
export interface FixedServer {
  readonly address: string;
  readonly status: ServerStatus;
}

/** A server that was removed, or whose address was changed, and on which calls still run. */
export interface LeavingServer {
  readonly server: ModelServer;
  readonly status: ServerStatus;
}

/** For people: why a call for the model would go to the server, or not. */
export interface ModelFigures {
  /** In memory; false: a call loads it first. */
  readonly isLoaded: boolean;
  readonly inFlight: number;
  readonly slots: number;
  /** Calls of which something was learned; 0: the figures below are assumed. */
  readonly calls: number;
  readonly promptTokensPerSecond: number;
  readonly answerTokensPerSecond: number;
  readonly loadMs: number;
  /** Until a slot is free and the prompts sent before are read. */
  readonly waitMs: number;
  /** How much later than expected its answers lately began. */
  readonly latenessMs: number;
  /** Until the first token of an answer to a prompt of 1,000 tokens, divided by the weight. The smallest gets the call. */
  readonly estimateMs: number;
}

/** Of the server at this address. */
export interface ServerEstimate extends ModelFigures {
  readonly address: string;
}

export interface ServerIntrospection {
  readonly fixed: () => readonly FixedServer[];
  readonly leaving: () => readonly LeavingServer[];
  /** Undefined: this gate does not know of it yet. */
  readonly statusOf: (id: ServerId) => ServerStatus | undefined;
  /** Of the servers that have the model and take calls, by its canonical name; the smallest estimate first. */
  readonly estimates: (model: string) => readonly ServerEstimate[];
}

/** The state of a server as the running gate has noted it for other processes. */
export interface NotedState {
  /** The id of a server, or the address of one of the settings. */
  readonly server: string;
  readonly state: ServerState;
  /** Unix milliseconds. */
  readonly since: number | null;
  readonly reason: string | null;
}
