// Writes log lines to a file, pipe or terminal. The lines of one turn of the event loop are one write, so that a line
// per request is not a system call per request. A blocked sink blocks nothing: beyond a bound, lines are dropped and
// counted, and writing is retried. Pino's own destination waits forever in its last flush when a disk is full.
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';

/** The most bytes that may wait. */
const waitingBytes = 1024 * 1024;
const againMs = 100;
const pauseMs = 1_000;
const closeMs = 1_000;

export class LogSink {
  readonly #fd: number;
  /** Files are written synchronously; pipes and terminals may block. */
  readonly #isFile: boolean;
  readonly #onRecovery: (dropped: number) => void;
  #lines: string[] = [];
  #bytes = 0;
  /** The buffer being written, from its first unwritten byte. */
  #current: Buffer = Buffer.alloc(0);
  #busy = false;
  #dropped = 0;
  #failing = false;
  #idle: (() => void) | undefined;

  /** `file`: a path, or 1 for standard output. `onRecovery` gets the number of lost lines once writing works again. */
  constructor(file: string | 1, onRecovery: (dropped: number) => void) {
    this.#fd = file === 1 ? unblocked() : openSync(file, 'a');
    this.#isFile = fstatSync(this.#fd).isFile();
    this.#onRecovery = onRecovery;
  }

  write(line: string): void {
    if (this.#bytes > waitingBytes) {
      this.#dropped++;
      return;
    }
    this.#lines.push(line);
    this.#bytes += line.length;
    if (this.#busy) return;
    this.#busy = true;
    setImmediate(() => this.#next());
  }

  /** Writes waiting lines if the sink is a file; otherwise does nothing. */
  flush(): void {
    if (this.#isFile && !this.#failing) this.#next();
  }

  /** Resolves when everything is written, or after a second. */
  async close(): Promise<void> {
    if (!this.#busy) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
      setTimeout(resolve, closeMs);
    });
  }

  #next(): void {
    if (this.#current.length === 0) {
      this.#current = Buffer.from(this.#lines.join(''));
      this.#lines = [];
      this.#bytes = 0;
    }
    if (this.#current.length === 0) {
      this.#busy = false;
      this.#idle?.();
    } else if (this.#isFile) {
      try {
        this.#wrote(writeSync(this.#fd, this.#current));
      } catch (error) {
        this.#failed(error as NodeJS.ErrnoException);
      }
    } else
      write(this.#fd, this.#current, (error, count) => {
        if (error) this.#failed(error);
        else this.#wrote(count);
      });
  }

  #wrote(count: number): void {
    this.#current = this.#current.subarray(count);
    this.#failing = false;
    if (this.#dropped > 0 && this.#bytes < waitingBytes) {
      const dropped = this.#dropped;
      this.#dropped = 0;
      this.#onRecovery(dropped);
    }
    this.#next();
  }

  #failed({ code = 'unknown' }: NodeJS.ErrnoException): void {
    const full = code === 'EAGAIN';
    if (!full && !this.#failing) complain(code);
    this.#failing ||= !full;
    setTimeout(() => this.#next(), full ? againMs : pauseMs).unref();
  }
}

/** Opens standard output so that a pipe or terminal whose reader has stopped does not block this process. */
function unblocked(): number {
  try {
    if (!fstatSync(1).isFile()) return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // A socket, or another operating system.
  }
  return 1;
}

function complain(code: string): void {
  try {
    writeSync(2, `The log cannot be written (${code}); the gateway continues without it.\n`);
  } catch {
    // Standard error does not work either.
  }
}
