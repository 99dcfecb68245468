// Writes the ledger in a thread of its own, so that a batch of it (1.6 ms) holds up no call. One task is on its way at a time. A
// thread that ends is started again by the next task, and its batch, which may be stored or not, comes again: the store
// knows the ids of what it has.
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { LedgerWriter } from '../ports/ledger-writer.ts';
import { isDeciding } from '../relational/connection.ts';
import { StoreBusy, StoreUnusable } from '../unusable.ts';
import type { LedgerAnswer, LedgerTask, ThreadSettings } from './ledger-program.ts';
import type { WriteTurns } from './write-turns.ts';

/** The built program has another ending than its source. */
const program = new URL(`./ledger-program${extname(import.meta.url)}`, import.meta.url);

/** A batch takes less than 2 MB. The names of models that have answered take most of the rest (`AnsweredModels`). */
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };

export class LedgerThread implements Pick<LedgerWriter, 'appendLines' | 'touchKeys'> {
  readonly #settings: ThreadSettings;
  readonly #turns: WriteTurns;
  readonly #loss: () => string | undefined;
  #worker: Worker | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;

  constructor(settings: ThreadSettings, turns: WriteTurns, loss: () => string | undefined) {
    this.#settings = settings;
    this.#turns = turns;
    this.#loss = loss;
    // Now, so that the first calls do not compete with its start.
    this.#worker = this.#start();
  }

  appendLines(lines: readonly string[]): Promise<void> {
    return lines.length === 0 ? Promise.resolve() : this.#inTurn(() => this.#ask({ lines }));
  }

  touchKeys(usedAt: ReadonlyMap<string, number>): Promise<void> {
    return this.#inTurn(() => this.#ask({ usedAt }));
  }

  /** Resolves when the thread has written what it was given, and has ended. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      const worker = this.#worker;
      if (!worker) return;
      worker.ref();
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      worker.postMessage('close', []);
      await ended;
    });
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    // The turn belongs to the decision until it is over.
    if (isDeciding()) throw new Error('a decision does not wait for the ledger');
    await this.#turns.take();
    try {
      await work();
    } finally {
      this.#turns.release();
    }
  }

  #ask(task: LedgerTask): Promise<void> {
    // A file that is no longer the one in the data directory must not be written.
    const loss = this.#loss();
    if (loss !== undefined) throw new StoreUnusable(loss);
    this.#worker ??= this.#start();
    this.#waiting = Promise.withResolvers();
    this.#worker.ref();
    this.#worker.postMessage(task, []);
    return this.#waiting.promise;
  }

  #start(): Worker {
    // Without the options of this process: some, such as --input-type, end a thread that runs a file.
    const options = { workerData: this.#settings, resourceLimits, execArgv: [], name: 'ledger' };
    const worker = new Worker(program, options);
    worker.unref();
    let cause: Error | undefined;
    worker.on('message', (answer: LedgerAnswer) => this.#answer(answer && errorOf(answer)));
    worker.on('error', (error: Error) => {
      cause = error;
    });
    worker.on('exit', () => {
      this.#worker = undefined;
      this.#answer(new Error(`the thread that writes the ledger ended${cause ? `: ${cause.message}` : ''}`, { cause }));
    });
    return worker;
  }

  /** The thread keeps the process alive only while it works. */
  #answer(error: Error | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#worker?.unref();
    if (error) waiting?.reject(error);
    else waiting?.resolve();
  }
}

function errorOf({ kind, message, cause }: NonNullable<LedgerAnswer>): Error {
  const options = { cause };
  if (kind === 'busy') return new StoreBusy(message, options);
  if (kind === 'unusable') return new StoreUnusable(message, options);
  return Object.assign(new Error(message, options), cause);
}
