// A start in named steps, and the one stack of what each has opened. Everything on it is closed in the opposite order,
// whatever becomes of the others: when the gate stops, and when a start fails half-way.

/** The steps, in order. */
export const startSteps = [
  'data directory',
  'lock',
  'store',
  'ledger',
  'operator account',
  'model servers',
  'usage',
  'data plane',
  'certificates',
  'rules',
  'port',
  'management plane',
  'services',
  'routes',
  'plain port',
  'metrics',
  'jobs',
  'renewal',
] as const;

export type StartStep = (typeof startSteps)[number];

/** Names the step; `cause` is what it met. */
export class StartFailed extends Error {
  override readonly name = 'StartFailed';
  readonly step: StartStep;

  constructor(step: StartStep, cause: unknown) {
    super(`The start failed at its step "${step}": ${cause instanceof Error ? cause.message : 'unknown'}`, { cause });
    this.step = step;
  }
}

export class Start {
  readonly #stack = new AsyncDisposableStack();
  readonly #before: (step: StartStep) => void;

  /** `before` is told of each step before it begins; what it throws fails that step. */
  constructor(before: (step: StartStep) => void) {
    this.#before = before;
  }

  /**
   * Does a step, and remembers how to close what it gives. Where nothing in it waits, the event loop gets no turn before
   * the next step. @throws StartFailed
   */
  async step<Opened>(
    step: StartStep,
    open: () => Opened | Promise<Opened>,
    close?: (opened: Opened) => unknown,
  ): Promise<Opened> {
    try {
      this.#before(step);
      const opened = await open();
      if (close) this.closes(() => close(opened));
      return opened;
    } catch (error) {
      throw new StartFailed(step, error);
    }
  }

  /** To be called as soon as there is something to close; closed first is what came last. */
  closes(close: () => unknown): void {
    this.#stack.defer(async () => {
      await close();
    });
  }

  /** Closes everything, once: a part that fails to close keeps no other open. Rejects as the first of these did. */
  async close(): Promise<void> {
    try {
      await this.#stack.disposeAsync();
    } catch (error) {
      let first: unknown = error;
      while (first instanceof SuppressedError) first = first.suppressed;
      throw first;
    }
  }
}
