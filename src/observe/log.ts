// Opens the log, one JSON object or one readable line per entry, and describes the causes of failures for it. Error
// objects are never passed to the logger whole: they can contain requests and headers.
import { type Logger, pino } from 'pino';
import { LogSink } from './log-sink.ts';
import { withSources } from './source-lines.ts';

export type Log = ReturnType<typeof openLog>;

/** `file`: a path, or 1 for standard output. */
export function openLog(level: string, format: 'auto' | 'json' | 'text', file: string | 1 = 1) {
  const text = format === 'text' || (format === 'auto' && process.stdout.isTTY);
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const sink = new LogSink(file, (dropped) =>
    logger.warn({ dropped }, 'the log could not be written for a while; lines were lost'),
  );
  const logger: Logger = pino(options, text ? readable(sink) : sink);
  return { logger, flush: () => sink.flush(), close: () => sink.close() };
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

/** Name and code of a cause. For unexpected errors also the stack, which holds locations, not values. */
export function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return typeof cause === 'string' ? cause : 'unknown';
  const code = (cause as { code?: unknown }).code;
  if (typeof code === 'string') return `${cause.name} ${code}`;
  return withSources(cause.stack ?? cause.message)
    .split('\n')
    .slice(0, 6)
    .join(' | ');
}
