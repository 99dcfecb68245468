// One log line for each exchange that is worth one. What may be logged is listed here, field by field: headers, bodies
// and raw addresses are never handed to the logger, since that is how keys and prompts got into other people's logs
// (LiteLLM's guardrail logs, Node CVE-2026-48615).
import type { MonotonicMs } from '../domain/time.ts';
import { describeCause, type Log } from '../observe/log.ts';
import type { Exchange } from './exchange.ts';
import type { Ending } from './observers.ts';
import type { Recorder } from './record.ts';
import { recordFactsOf } from './record-facts.ts';

/** Lines about refusals a second, of strangers and of known callers each; more are counted, so that no flood fills a disk. */
const refusalLinesPerSecond = 20;

/** Writes the line of an ended exchange: failures of ours and of the model server louder than the rest. */
export function accessLog({ logger }: Pick<Log, 'logger'>, nowMs: () => MonotonicMs): Recorder['log'] {
  const strangers = new LineBudget('more refusals of strangers than are logged');
  const known = new LineBudget('more refusals of known callers than are logged');
  return (exchange: Exchange, ending: Ending, durationMs: number): void => {
    const owner = ending.error?.owner;
    const level =
      ending.error?.code === 'internal' ? 'error' : owner === 'upstream' ? 'warn' : ending.error ? 'info' : 'debug';
    if (!logger.isLevelEnabled(level)) return;
    const budget = !recordFactsOf(exchange).caller ? strangers : ending.outcome === 'refused' ? known : undefined;
    if (budget && !budget.take(nowMs(), logger)) return;
    logger[level](fieldsOf(exchange, ending, durationMs), ending.error ? ending.error.code : ending.outcome);
  };
}

class LineBudget {
  readonly #sentence: string;
  #second = 0;
  #lines = 0;
  #dropped = 0;

  /** `sentence` stands beside how many lines there were not. */
  constructor(sentence: string) {
    this.#sentence = sentence;
  }

  take(nowMs: MonotonicMs, logger: Log['logger']): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      if (this.#dropped > 0) logger.info({ dropped: this.#dropped }, this.#sentence);
      [this.#second, this.#lines, this.#dropped] = [second, 0, 0];
    }
    if (this.#lines++ < refusalLinesPerSecond) return true;
    this.#dropped++;
    return false;
  }
}

function fieldsOf(exchange: Exchange, ending: Ending, durationMs: number): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    id: exchange.id,
    address: exchange.address,
    method: exchange.request.method,
    path: redactPath(exchange.request.url ?? ''),
    status: ending.status,
    outcome: ending.outcome,
    durationMs,
  };
  const { caller, model, upstream } = recordFactsOf(exchange);
  if (caller) fields['key'] = caller.principal.keyId;
  if (model) fields['model'] = model;
  if (upstream) fields['upstream'] = upstream;
  if (exchange.queuePosition > 0) {
    fields['queuedMs'] = exchange.queuedMs;
    fields['queuePosition'] = exchange.queuePosition;
  }
  const cause = ending.error?.cause;
  if (cause !== undefined) fields['cause'] = describeCause(cause);
  return fields;
}

/** The address line without query and without key. An odd spelling of /k/ is cut off as well: it may still hold a key. */
function redactPath(url: string): string {
  const path = (url.split(/[?#]/, 1)[0] as string).slice(0, 200);
  const redacted = path.replace(/^(\/+(?:k|%6b)\/)[^/]*/i, '$1[key]');
  return /sekisho_/i.test(redacted) ? '[redacted]' : redacted;
}
