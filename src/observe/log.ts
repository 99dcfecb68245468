// The log: one JSON object a line for machines, or one readable line for people. What may be logged is listed here,
// field by field: error objects, headers and bodies are never handed to the logger whole, since that is how keys and
// prompts got into other people's logs (LiteLLM's guardrail logs, Node CVE-2026-48615).
import { pino } from 'pino';
import type { Exchange } from '../gateway/exchange.ts';
import type { Ending } from '../gateway/record.ts';

export type Log = ReturnType<typeof openLog>;

/** `file`: a path, or 1 for standard output. */
export function openLog(level: string, format: 'auto' | 'json' | 'text', file: string | 1 = 1) {
  const text = format === 'text' || (format === 'auto' && process.stdout.isTTY === true);
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label: string) => ({ level: label }) } };
  // Written at the end of a turn and not line by line: a log line per request must not be a system call per request.
  const destination = pino.destination({ dest: file, sync: false });
  const logger = text ? pino(options, readable(destination)) : pino(options, destination);
  return { logger, flush: () => destination.flushSync() };
}

/** `12:00:00 info  listening address=… upstream=…` */
function readable(destination: { write(line: string): unknown }): { write(line: string): void } {
  return {
    write(line: string): void {
      const { time, level, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
      const fields = Object.entries(rest)
        .map(([name, value]) => ` ${name}=${typeof value === 'string' && !value.includes(' ') ? value : JSON.stringify(value)}`)
        .join('');
      destination.write(`${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${String(msg)}${fields}\n`);
    },
  };
}

/** Lines about refused strangers a second; what goes beyond is counted, so that a flood cannot fill a disk. */
const strangerLinesPerSecond = 20;

/** Writes the line of an ended exchange: failures of ours and of the model server louder than the rest. */
export function exchangeLogger({ logger }: Pick<Log, 'logger'>, nowMs: () => number) {
  let second = 0;
  let lines = 0;
  let dropped = 0;
  return (exchange: Exchange, ending: Ending, durationMs: number): void => {
    const owner = ending.error?.owner;
    const level = ending.error?.code === 'internal' ? 'error' : owner === 'upstream' ? 'warn' : ending.error ? 'info' : 'debug';
    if (!logger.isLevelEnabled(level)) return;
    if (!exchange.principal) {
      const now = Math.floor(nowMs() / 1000);
      if (now !== second) {
        if (dropped > 0) logger.info({ dropped }, 'more refusals of strangers than are logged');
        [second, lines, dropped] = [now, 0, 0];
      }
      if (++lines > strangerLinesPerSecond) {
        dropped++;
        return;
      }
    }
    logger[level](fieldsOf(exchange, ending, durationMs), ending.error ? ending.error.code : ending.outcome);
  };
}

function fieldsOf(exchange: Exchange, ending: Ending, durationMs: number): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    id: exchange.id,
    address: exchange.address,
    method: exchange.request.method,
    path: exchange.safePath,
    status: ending.status,
    outcome: ending.outcome,
    durationMs,
  };
  if (exchange.principal) fields['key'] = exchange.principal.keyId;
  if (exchange.model) fields['model'] = exchange.model;
  if (exchange.upstream) fields['upstream'] = exchange.upstream;
  const cause = ending.error?.cause;
  if (cause !== undefined) fields['cause'] = describeCause(cause);
  return fields;
}

/** Name, code and message of a cause. For what we did not foresee, the stack too: it holds places, not values. */
export function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return typeof cause === 'string' ? cause : 'unknown';
  const code = (cause as { code?: unknown }).code;
  if (typeof code === 'string') return `${cause.name} ${code}`;
  return (cause.stack ?? cause.message).split('\n').slice(0, 6).join(' | ');
}
