// Metrics of model calls, counted when an exchange ends. What a label can say is bounded: routes, outcomes and codes are
// closed lists, models are those that a server lists, and neither key nor account is ever a label; the ledger has those.
// The names are those of OpenTelemetry's conventions where these have one: `http.server.request.duration` for the gate
// itself, `gen_ai.client.*` for the call to the model server (semantic-conventions-genai @004902b).
import type { MonotonicMs } from '../domain/time.ts';
import type { UsageRecord } from '../domain/usage.ts';
import { type Counter, Counters, growing, type Histogram, Histograms, type Metric } from '../observe/metrics/metric.ts';
import type { Exchange } from './exchange.ts';
import type { Ending, EndObserver } from './observers.ts';
import { recordFactsOf } from './record-facts.ts';

/** From 10 ms to 22 minutes: a local model may take that long to load and answer. */
const durations = growing(0.01, 2, 18);
/** As the convention asks. */
const tokenCounts = growing(1, 4, 14);

const mostModels = 50;
const mostServers = 50;
const other = 'other';

/** Where the call of one operation, model and server is counted. */
interface CallSeries {
  readonly duration: Histogram;
  readonly firstChunk: Histogram;
  readonly input: Histogram;
  readonly output: Histogram;
  readonly inputTokens: Counter;
  readonly outputTokens: Counter;
  readonly cachedTokens: Counter;
}

/** The names that a label may have: those that are known, while there is room; the rest share one. */
export class LabelNames {
  readonly #names = new Set<string>();
  readonly #most: number;
  readonly #isKnown: (name: string) => boolean;

  constructor(most: number, isKnown: (name: string) => boolean) {
    this.#most = most;
    this.#isKnown = isKnown;
  }

  /** The name itself, or `other`; empty for null. A name that had a label of its own keeps it. */
  of(name: string | null): string {
    if (name === null) return '';
    if (this.#names.has(name)) return name;
    if (this.#names.size >= this.#most || !this.#isKnown(name)) return other;
    this.#names.add(name);
    return name;
  }
}

export class RequestMetrics implements EndObserver {
  readonly name = 'the metrics';
  readonly metrics: readonly Metric[];
  readonly models: LabelNames;
  readonly #nowMs: () => MonotonicMs;
  readonly #requests = new Counters({
    name: 'sekisho_requests_total',
    help: 'Requests that have ended, by how they ended; the code is that of a refusal or a failure.',
    labels: ['dialect', 'outcome', 'code'],
  });
  readonly #served = new Histograms(
    {
      name: 'http_server_request_duration_seconds',
      help: 'From the head of a request to the end of its answer.',
      labels: ['http_request_method', 'http_route', 'http_response_status_code'],
    },
    durations,
  );
  readonly #waited = new Histograms(
    { name: 'sekisho_queue_wait_seconds', help: 'How long calls waited for their turn.', labels: ['model'] },
    durations,
  );
  readonly #calls = callFamilies();
  readonly #servers = new LabelNames(mostServers, () => true);
  // Nested maps, so that a look-up builds no key: operation, model, server; dialect, outcome, code.
  readonly #series = new Map<string, Map<string, Map<string, CallSeries>>>();
  readonly #waits = new Map<string, Histogram>();
  readonly #routes = new Map<string, Map<number, Histogram>>();
  readonly #ends = new Map<string, Map<string, Map<string, Counter>>>();

  /** `isListed`: whether a model server lists the model; others share one label. */
  constructor(isListed: (model: string) => boolean, nowMs: () => MonotonicMs) {
    this.models = new LabelNames(mostModels, isListed);
    this.#nowMs = nowMs;
    this.metrics = [this.#requests, this.#served, this.#waited, ...Object.values(this.#calls)];
  }

  ended(exchange: Exchange, row: UsageRecord | undefined, ending: Ending): void {
    this.#countEnd(exchange, ending);
    this.#countServed(exchange, ending.status);
    if (row && row.upstream !== null) this.#countCall(exchange, row, row.upstream);
  }

  #countEnd({ dialect }: Exchange, { outcome, error }: Ending): void {
    const code = error?.code ?? '';
    const byOutcome = place(this.#ends, dialect.name, () => new Map<string, Map<string, Counter>>());
    const byCode = place(byOutcome, outcome, () => new Map<string, Counter>());
    place(byCode, code, () => this.#requests.of(dialect.name, outcome, code)).add(1);
  }

  #countServed(exchange: Exchange, status: number): void {
    const { operation } = recordFactsOf(exchange);
    const byStatus = place(this.#routes, operation?.name ?? '', () => new Map<number, Histogram>());
    const histogram = place(byStatus, status, () =>
      this.#served.of(operation?.methods[0] ?? '', operation?.path ?? '', String(status)),
    );
    histogram.observe((this.#nowMs() - exchange.startedMs) / 1000);
  }

  #countCall(exchange: Exchange, row: UsageRecord, upstream: string): void {
    const model = this.models.of(row.model);
    place(this.#waits, model, () => this.#waited.of(model)).observe(row.queuedMs / 1000);
    const server = this.#servers.of(upstream);
    const series = this.#seriesOf(row.operation, model, server);
    const { turnAtMs } = recordFactsOf(exchange);
    // Calls without a turn at a model have waited for nothing.
    const beforeMs = turnAtMs === 0 ? 0 : turnAtMs - exchange.startedMs;
    series.duration.observe(Math.max(0, row.durationMs - beforeMs) / 1000);
    if (row.firstByteMs !== null) series.firstChunk.observe(Math.max(0, row.firstByteMs - beforeMs) / 1000);
    if (row.source === 'none') return;
    series.input.observe(row.promptTokens);
    series.output.observe(row.completionTokens);
    series.inputTokens.add(row.promptTokens);
    series.outputTokens.add(row.completionTokens);
    series.cachedTokens.add(row.cacheReadTokens);
  }

  #seriesOf(operation: string, model: string, server: string): CallSeries {
    const byModel = place(this.#series, operation, () => new Map<string, Map<string, CallSeries>>());
    const byServer = place(byModel, model, () => new Map<string, CallSeries>());
    return place(byServer, server, () => {
      const { duration, firstChunk, usage, tokens } = this.#calls;
      return {
        duration: duration.of(operation, model, server),
        firstChunk: firstChunk.of(operation, model, server),
        input: usage.of('input', model),
        output: usage.of('output', model),
        inputTokens: tokens.of('input', model, server),
        outputTokens: tokens.of('output', model, server),
        cachedTokens: tokens.of('cached_input', model, server),
      };
    });
  }
}

function callFamilies() {
  const labels = ['gen_ai_operation_name', 'gen_ai_request_model', 'server_address'];
  return {
    duration: new Histograms(
      {
        name: 'gen_ai_client_operation_duration_seconds',
        help: 'How long the call to the model server took.',
        labels,
      },
      durations,
    ),
    firstChunk: new Histograms(
      {
        name: 'gen_ai_client_operation_time_to_first_chunk_seconds',
        help: 'From sending the call to a model server to the first byte of its answer.',
        labels,
      },
      durations,
    ),
    usage: new Histograms(
      {
        name: 'gen_ai_client_token_usage',
        help: 'Tokens of a call.',
        labels: ['gen_ai_token_type', 'gen_ai_request_model'],
      },
      tokenCounts,
    ),
    tokens: new Counters({
      name: 'sekisho_tokens_total',
      help: 'Tokens of calls; cached_input is a part of input.',
      labels: ['type', 'model', 'server'],
    }),
  };
}

/** What the map holds for the key, made now if there is nothing. */
function place<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const held = map.get(key);
  if (held !== undefined) return held;
  const made = make();
  map.set(key, made);
  return made;
}
