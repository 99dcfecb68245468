// Where log lines go: a file, a pipe, a terminal. Lines of one turn of the event loop are one write, since a line per
// request must not be a system call per request. A sink that takes nothing holds up nobody: beyond a bound, lines are
// dropped and counted, and it is tried again. Pino's own destination waits for ever in its last flush when a disk is full.
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';

/** Bytes that may wait. */
const waitingBytes = 1024 * 1024;
const againMs = 100;
const pauseMs = 1_000;
const closeMs = 1_000;

export class LogSink {
  readonly #fd: number;
  /** Files take what they are given at once; what else there is may make us wait. */
  readonly #isFile: boolean;
  readonly #onRecovery: (dropped: number) => void;
  #lines: string[] = [];
  #bytes = 0;
  /** What is being written, from its first byte that has not been. */
  #current: Buffer = Buffer.alloc(0);
  #busy = false;
  #dropped = 0;
  #failing = false;
  #idle: (() => void) | undefined;

  /** `file`: a path, or 1 for standard output. `onRecovery` hears how many lines were lost once there is a way again. */
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

  /** Writes to a file what waits; does nothing about other sinks. */
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

/** Standard output; a pipe or a terminal such that whoever has stopped reading there does not stop us. */
function unblocked(): number {
  try {
    if (!fstatSync(1).isFile()) return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // A socket, or another system.
  }
  return 1;
}

function complain(code: string): void {
  try {
    writeSync(2, `The log cannot be written (${code}); the gate goes on without.\n`);
  } catch {
    // There neither.
  }
}
