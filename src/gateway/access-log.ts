// Writes log lines for exchanges. Every logged field is listed here: headers, bodies and raw URLs are never passed to
// the logger, because that is how keys and prompts leaked into logs elsewhere (LiteLLM's guardrail logs, Node
// CVE-2026-48615).
import type { MonotonicMs } from '../domain/time.ts';
import { describeCause, type Log } from '../observe/log.ts';
import type { Exchange } from './exchange.ts';
import type { Ending } from './observers.ts';
import type { Recorder } from './record.ts';
import { recordFactsOf } from './record-facts.ts';
import { isPublished } from './services/published.ts';
import { recordedPath } from './services/recorded-path.ts';
import { servicesDialect } from './services/services-dialect.ts';

/** Lines per second about refusals, of unknown and known callers each. The rest are counted, to protect the disk. */
const refusalLinesPerSecond = 20;

/** Logs an ended exchange: failures of the gateway and of the model server at higher levels than the rest. */
export function accessLog({ logger }: Pick<Log, 'logger'>, nowMs: () => MonotonicMs): Recorder['log'] {
  const strangers = new LineBudget('further refusals of unidentified callers, not logged one by one');
  const known = new LineBudget('further refusals of known callers, not logged one by one');
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

  /** `sentence` is logged with the number of dropped lines. */
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
    path: pathOf(exchange),
    status: ending.status,
    outcome: ending.outcome,
    durationMs,
  };
  const { caller, model, askedModel, fallbackFor, upstream } = recordFactsOf(exchange);
  if (caller) fields['key'] = caller.principal.keyId;
  if (model) fields['model'] = model;
  if (askedModel) fields['askedModel'] = askedModel;
  if (fallbackFor) fields['fallbackFor'] = fallbackFor;
  if (upstream) fields['upstream'] = upstream;
  if (exchange.queuePosition > 0) {
    fields['queuedMs'] = exchange.queuedMs;
    fields['queuePosition'] = exchange.queuePosition;
  }
  const cause = ending.error?.cause;
  if (cause !== undefined) fields['cause'] = describeCause(cause);
  return fields;
}

/** Paths of a service can name its contents, so they are logged only as its route says. */
function pathOf(exchange: Exchange): string | undefined {
  const url = exchange.request.url ?? '';
  const { operation } = recordFactsOf(exchange);
  if (operation && isPublished(operation)) return recordedPath(operation.service.route, url);
  return exchange.dialect === servicesDialect ? undefined : redactPath(url);
}

/** The path without query and key. Odd spellings of /k/ are redacted too: they may hold a key. */
function redactPath(url: string): string {
  const path = (url.split(/[?#]/, 1)[0] as string).slice(0, 200);
  const redacted = path.replace(/^(\/+(?:k|%6b)\/)[^/]*/i, '$1[key]');
  return /sekisho_/i.test(redacted) ? '[redacted]' : redacted;
}
