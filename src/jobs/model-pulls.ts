// Pulls of models as jobs of the gateway: it reads the progress of each itself, so a pull goes on when nobody looks at it. A pull ends
// with its result in the store. One that a stop or a kill cuts off is told as interrupted.
import type { Author } from '../domain/audit.ts';
import { auditEvent } from '../domain/audit.ts';
import { refusal } from '../domain/refusal.ts';
import type { Pull, PullProgress, PullState, StoredPull } from '../domain/server-models.ts';
import type { Store } from '../store/ports/store.ts';
import type { ModelControl, PullLine } from '../upstream/kind.ts';
import { ManagementFailed } from '../upstream/management-failed.ts';
import type { Upstream } from '../upstream/server.ts';

/** Pulls at a time; a server that pulls many at once shares its line among them. */
const mostRunning = 16;
/** Layers of one model whose progress is added up. */
const mostLayers = 1_000;
/** Who ends what a stop or a kill cuts off. */
const gateway = 'gateway';

export interface ModelPullsTools {
  readonly store: Store;
  /** The id of this gate. */
  readonly gate: string;
  readonly wallNow: () => number;
  /** False: the server was removed. */
  readonly isThere: (server: Upstream) => boolean;
  readonly onError: (error: unknown) => void;
}

export interface PullTarget {
  readonly server: Upstream;
  readonly name: string;
  readonly control: ModelControl;
}

interface Running {
  readonly pull: StoredPull;
  readonly target: PullTarget;
  readonly stop: AbortController;
  progress: PullProgress;
  /** Why it was stopped; undefined: it was not. */
  ending: { readonly state: PullState; readonly by: Author } | undefined;
  ended: Promise<void>;
}

export class ModelPulls {
  readonly #tools: ModelPullsTools;
  readonly #running = new Map<string, Running>();
  #starting = 0;
  #stopped = false;

  constructor(tools: ModelPullsTools) {
    this.#tools = tools;
  }

  get gate(): string {
    return this.#tools.gate;
  }

  /** Tells of pulls that an earlier process of this gate has left. */
  async open(): Promise<void> {
    const { store, wallNow, gate } = this.#tools;
    const isOwn = (pull: StoredPull): boolean => pull.gate === gate || pull.gate === '';
    for (const pull of await store.listPulls(1_000))
      if (pull.state === 'running' && isOwn(pull)) await endLostPull(store, pull, wallNow());
  }

  /** Stops those that were canceled at another gate. */
  async look(): Promise<void> {
    for (const [id, running] of this.#running)
      if ((await this.#tools.store.findPull(id))?.state === 'canceled') running.stop.abort();
  }

  /** `write`: stores them; they begin when it resolves. @throws Refusal, or what `write` throws. */
  async start(
    pulls: readonly StoredPull[],
    targets: readonly PullTarget[],
    write: () => Promise<void>,
  ): Promise<Pull[]> {
    if (this.#running.size + this.#starting + pulls.length > mostRunning)
      throw refusal('pulls_full', { most: mostRunning }, 'conflict');
    this.#starting += pulls.length;
    try {
      await write();
    } finally {
      this.#starting -= pulls.length;
    }
    return pulls.map((pull, at) => {
      const running: Running = {
        pull,
        target: targets[at] as PullTarget,
        stop: new AbortController(),
        progress: { status: '', completed: 0, total: 0 },
        ending: undefined,
        ended: Promise.resolve(),
      };
      this.#running.set(pull.id, running);
      running.ended = this.#run(running);
      return { ...pull, progress: running.progress };
    });
  }

  /** Resolves when it has ended. @throws Refusal if it does not run. */
  async cancel(id: string, by: Author): Promise<void> {
    const running = this.#running.get(id);
    if (!running) return this.#cancelElsewhere(id, by);
    running.ending ??= { state: 'canceled', by };
    running.stop.abort();
    await running.ended;
  }

  /** The gate that runs it stops it when it sees that. */
  async #cancelElsewhere(id: string, by: Author): Promise<void> {
    const pull = await this.#tools.store.findPull(id);
    const isElsewhere = pull?.state === 'running' && pull.gate !== this.gate;
    if (!isElsewhere || !(await this.#write(pull, 'canceled', null, by)))
      throw refusal('pull_over', { id }, 'conflict');
  }

  progress(): ReadonlyMap<string, PullProgress> {
    return new Map([...this.#running].map(([id, { progress }]) => [id, progress]));
  }

  /** The gateway ends. Resolves when every pull is written as interrupted. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const by = { actor: gateway, at: this.#tools.wallNow() };
    for (const running of this.#running.values()) {
      running.ending ??= { state: 'interrupted', by };
      running.stop.abort();
    }
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  async #run(running: Running): Promise<void> {
    const { pull } = running;
    const [state, error] = await this.#read(running).then(
      (): [PullState, string | null] => ['done', null],
      (thrown: unknown): [PullState, string | null] => ['failed', this.#sentenceOf(thrown, running)],
    );
    const { ending } = running;
    const by = ending?.by ?? { actor: pull.startedBy, at: 0 };
    const at = this.#tools.wallNow();
    const isDone = state === 'done';
    await this.#write(pull, isDone || !ending ? state : ending.state, isDone || ending ? null : error, {
      ...by,
      at,
    }).catch(this.#tools.onError);
    this.#running.delete(pull.id);
  }

  async #read(running: Running): Promise<void> {
    const { target, stop, pull } = running;
    if (this.#stopped) stop.abort();
    stop.signal.throwIfAborted();
    const layers = new Map<string, PullLine>();
    let last = '';
    for await (const line of target.control.pull(target.server, pull.model, stop.signal)) {
      // Its connections close only when nothing uses them.
      if (!this.#tools.isThere(target.server)) stop.abort();
      stop.signal.throwIfAborted();
      if (line.layer !== undefined && (layers.size < mostLayers || layers.has(line.layer)))
        layers.set(line.layer, line);
      running.progress = { status: line.status, ...sumOf(layers.values()) };
      last = line.status;
    }
    if (last !== 'success') throw new ManagementFailed(200, undefined);
  }

  /** What the server said, as people may read it; null for faults without words. */
  #sentenceOf(thrown: unknown, { target }: Running): string | null {
    if (!(thrown instanceof ManagementFailed) || thrown.said === undefined) return null;
    return target.server.screen.sentence(thrown.said.slice(0, 500)) ?? null;
  }

  #write(pull: StoredPull, state: PullState, error: string | null, by: Author): Promise<boolean> {
    return endPull(this.#tools.store, pull, state, error, by);
  }
}

/** One whose gate is gone. */
export const endLostPull = (store: Pick<Store, 'endPull'>, pull: StoredPull, at: number): Promise<boolean> =>
  endPull(store, pull, 'interrupted', null, { actor: gateway, at });

function endPull(
  store: Pick<Store, 'endPull'>,
  { id, model, server }: StoredPull,
  state: PullState,
  error: string | null,
  by: Author,
): Promise<boolean> {
  const event = auditEvent(by, 'model.pull-end', model, { server, state: 'running' }, { server, state, error });
  return store.endPull(id, { state, at: by.at, error }, event);
}

function sumOf(layers: Iterable<PullLine>): { completed: number; total: number } {
  let [completed, total] = [0, 0];
  for (const layer of layers) {
    total += layer.total;
    completed += Math.min(layer.total, layer.completed);
  }
  return { completed, total };
}
