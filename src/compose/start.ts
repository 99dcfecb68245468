// A start in named steps, with a stack of everything that they have opened. It is closed in reverse order when the gateway
// stops or the start fails, even if closing some parts fails.

/** The steps, in order. */
export const startSteps = [
  'data directory',
  'lock',
  'store',
  'ledger',
  'operator account',
  'settings',
  'redis',
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

/** Names the failed step; `cause` is its error. */
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
  /** Ends waits of the start. */
  readonly signal: AbortSignal;

  /** `before` is called before each step; if it throws, or after `signal`, the step fails. */
  constructor(before: (step: StartStep) => void, signal: AbortSignal) {
    this.#before = before;
    this.signal = signal;
  }

  /**
   * Runs a step, and remembers how to close its result. If nothing in it is awaited, the event loop gets no turn before the
   * next step.
   * @throws StartFailed
   */
  async step<Opened>(
    step: StartStep,
    open: () => Opened | Promise<Opened>,
    close?: (opened: Opened) => unknown,
  ): Promise<Opened> {
    try {
      this.signal.throwIfAborted();
      this.#before(step);
      const opened = await open();
      if (close) this.closes(() => close(opened));
      return opened;
    } catch (error) {
      throw new StartFailed(step, error);
    }
  }

  /** Call as soon as there is something to close; closed in reverse order. */
  closes(close: () => unknown): void {
    this.#stack.defer(async () => {
      await close();
    });
  }

  /** Closes everything, once, even if some parts fail to close. Rejects with the first failure. */
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
