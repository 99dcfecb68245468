// Opens the log: one JSON object a line for machines, or one readable line for people, and says how the cause of a
// failure may be put into it. Error objects are never handed to the logger whole: they can carry requests and headers.
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { pino } from 'pino';

export type Log = ReturnType<typeof openLog>;

/** Beyond that many bytes that nobody takes, lines are dropped and counted. */
const waitingBytes = 1024 * 1024;
/** While the gate stops: a reader that has fallen behind has a second. */
const lastTries = 10;

/**
 * `file`: a path, or 1 for standard output. A log that cannot be written holds up nobody: it loses lines, and says how many
 * when it can be written again.
 */
export function openLog(level: string, format: 'auto' | 'json' | 'text', file: string | 1 = 1) {
  const text = format === 'text' || (format === 'auto' && process.stdout.isTTY);
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  // Written at the end of a turn and not line by line: a log line per request must not be a system call per request.
  let tries = Infinity;
  const sink = {
    dest: file === 1 ? unblocked() : file,
    sync: false,
    maxLength: waitingBytes,
    retryEAGAIN: () => tries-- > 0,
  };
  const destination = pino.destination(sink);
  const logger = text ? pino(options, readable(destination)) : pino(options, destination);
  let dropped = 0;
  let failing = false;
  destination.on('drop', () => dropped++);
  destination.on('error', (error: NodeJS.ErrnoException) => {
    if (!failing && error.code !== 'EAGAIN') complain(error);
    failing = true;
  });
  destination.on('drain', () => {
    failing = false;
    if (dropped === 0) return;
    const lost = dropped;
    dropped = 0;
    logger.warn({ dropped: lost }, 'the log could not be written for a while; lines were lost');
  });
  const flush = (): void => {
    tries = lastTries;
    try {
      destination.flushSync();
    } catch {
      // Nobody takes it.
    }
    tries = Infinity;
  };
  return {
    logger,
    flush,
    /** For the end of the process. */
    close: () => {
      flush();
      tries = 0;
    },
  };
}

/** Standard output; where it is a pipe, such that a reader who has stopped reading does not stop us. */
function unblocked(): number {
  try {
    if (fstatSync(1).isFIFO()) return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // Not on this system.
  }
  return 1;
}

function complain({ code, message }: NodeJS.ErrnoException): void {
  try {
    writeSync(2, `The log cannot be written (${code ?? message}); the gate goes on without.\n`);
  } catch {
    // There neither.
  }
}

/** `12:00:00 info  listening address=… upstream=…` */
function readable(destination: { write(line: string): unknown }): { write(line: string): void } {
  return {
    write(line: string): void {
      const { time, level, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
      const fields = Object.entries(rest)
        .map(
          ([name, value]) =>
            ` ${name}=${typeof value === 'string' && /^[\x21-\x7e]+$/.test(value) ? value : JSON.stringify(value)}`,
        )
        .join('');
      destination.write(`${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${String(msg)}${fields}\n`);
    },
  };
}

/** Name, code and message of a cause. For what we did not foresee, the stack too: it holds places, not values. */
export function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return typeof cause === 'string' ? cause : 'unknown';
  const code = (cause as { code?: unknown }).code;
  if (typeof code === 'string') return `${cause.name} ${code}`;
  return (cause.stack ?? cause.message).split('\n').slice(0, 6).join(' | ');
}
