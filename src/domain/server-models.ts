// What the management plane may ask about the models on the model servers, and have done with them. The data plane's side knows the
// servers; the composition root connects the two.
import type { Author } from './audit.ts';
import type { WallMs } from './time.ts';

/** A model in the memory of a server. */
export interface LoadedModel {
  /** Bytes in memory of any kind, and of these in the memory of a graphics card; null where the server does not say. */
  readonly size: number | null;
  readonly vram: number | null;
  /** When the server unloads it if no call comes. */
  readonly until: WallMs | null;
  readonly context: number | null;
}

export interface ServerModel {
  readonly name: string;
  /** Bytes on disk. */
  readonly size: number | null;
  readonly changedAt: WallMs | null;
  readonly family: string | null;
  readonly parameters: string | null;
  readonly quantization: string | null;
  /** Null: it is not in memory. */
  readonly loaded: LoadedModel | null;
}

export interface ServerModels {
  /** As an operator named it; of a server of the settings, its address. */
  readonly server: string;
  readonly kind: string | null;
  /** Models can be pulled to it, deleted from it, unloaded and looked at. */
  readonly isManaged: boolean;
  /** It takes calls. */
  readonly isServing: boolean;
  /** Its lists could be read. */
  readonly answers: boolean;
  readonly models: readonly ServerModel[];
}

/** What a server says about a model; null where it does not. */
export interface ModelDescription {
  readonly family: string | null;
  readonly format: string | null;
  readonly parameters: string | null;
  readonly quantization: string | null;
  readonly context: number | null;
  readonly capabilities: readonly string[];
  /** Parameters of its own, a line each. */
  readonly settings: string | null;
  readonly license: string | null;
}

export const pullStates = ['running', 'done', 'failed', 'canceled', 'interrupted'] as const;
export type PullState = (typeof pullStates)[number];

/** `interrupted`: the gateway ended before the pull did. */
export interface StoredPull {
  readonly id: string;
  readonly server: string;
  readonly model: string;
  readonly state: PullState;
  readonly startedBy: string;
  readonly startedAt: WallMs;
  readonly endedAt: WallMs | null;
  /** The gate that runs it. */
  readonly gate: string;
  /** What the server said, where it failed. */
  readonly error: string | null;
}

export interface PullProgress {
  /** As the server words it. */
  readonly status: string;
  /** Bytes of the layers that the server has named so far. */
  readonly completed: number;
  readonly total: number;
}

export interface Pull extends StoredPull {
  /** Of a running pull. */
  readonly progress: PullProgress | null;
}

export interface ModelManagement {
  readonly list: () => Promise<readonly ServerModels[]>;
  /** @throws Refusal */
  readonly describe: (server: string, model: string) => Promise<ModelDescription>;
  /** `write` notes it down, and nothing is unloaded if that fails. @throws Refusal */
  readonly unload: (server: string, model: string, write: () => Promise<void>) => Promise<void>;
  /**
   * Starts a pull on each of the servers: all that can, or those with these names. `store` writes them down; nothing begins if it
   * fails. @throws Refusal
   */
  readonly pull: (
    question: { readonly model: string; readonly servers: 'all' | readonly string[]; readonly author: Author },
    store: (pulls: readonly StoredPull[]) => Promise<void>,
  ) => Promise<readonly Pull[]>;
  /** Resolves when it has ended. @throws Refusal if it does not run. */
  readonly cancelPull: (id: string, author: Author) => Promise<void>;
  /** The progress of those that run, by id, at this gate or another. */
  readonly progress: () => Promise<ReadonlyMap<string, PullProgress>>;
}
