// Metrics in memory: counters, histograms, and gauges that are read on request. A counter or histogram exists
// once for each combination of label values; their number is bounded, whatever the values are, so that no caller can
// fill the memory or the monitoring system. text.ts writes them out.

/** One line of a metric: the values of its labels, in order, and the figure. */
export interface Sample {
  readonly suffix: '' | '_bucket' | '_sum' | '_count';
  readonly values: readonly string[];
  /** The upper bound of a bucket; only with the suffix `_bucket`. */
  readonly le?: string;
  readonly figure: number;
}

export interface Metric {
  /** As Prometheus names it, with its unit; a counter ends in `_total`. */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  samples(): Iterable<Sample>;
}

type Description = Pick<Metric, 'name' | 'help' | 'labels'>;

/** A combination of label values beyond this many shares the last one, whose values are all `other`. */
const mostCombinations = 2_000;

/** Creates an object for each combination of label values. */
class ByLabels<Kept> {
  readonly #labels: readonly string[];
  readonly #make: () => Kept;
  readonly #kept = new Map<string, { readonly values: readonly string[]; readonly kept: Kept }>();

  constructor(labels: readonly string[], make: () => Kept) {
    this.#labels = labels;
    this.#make = make;
  }

  /** The same object for the same values. */
  of(values: readonly string[]): Kept {
    const key = values.join('\0');
    const known = this.#kept.get(key);
    if (known) return known.kept;
    const others = this.#labels.map(() => 'other');
    if (this.#kept.size >= mostCombinations - 1 && key !== others.join('\0')) return this.of(others);
    const kept = this.#make();
    this.#kept.set(key, { values, kept });
    return kept;
  }

  all(): Iterable<{ readonly values: readonly string[]; readonly kept: Kept }> {
    return this.#kept.values();
  }
}

export class Counter {
  figure = 0;

  add(amount: number): void {
    this.figure += amount;
  }
}

export class Counters implements Metric {
  readonly type = 'counter';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly #counters: ByLabels<Counter>;

  constructor({ name, help, labels }: Description) {
    this.name = name;
    this.help = help;
    this.labels = labels;
    this.#counters = new ByLabels(labels, () => new Counter());
  }

  /** Keep the result if the same values recur; the lookup builds a key. */
  of(...values: readonly string[]): Counter {
    return this.#counters.of(values);
  }

  *samples(): Iterable<Sample> {
    for (const { values, kept } of this.#counters.all()) yield { suffix: '', values, figure: kept.figure };
  }
}

export class Histogram {
  readonly #bounds: readonly number[];
  /** One count for each bound, and one for everything above. */
  readonly #counts: Float64Array;
  #sum = 0;

  /** `bounds`: the largest value of each bucket, ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(figure: number): void {
    let at = 0;
    while (at < this.#bounds.length && figure > (this.#bounds[at] as number)) at++;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += figure;
  }

  *samples(values: readonly string[]): Iterable<Sample> {
    let count = 0;
    for (const [at, bound] of this.#bounds.entries()) {
      count += this.#counts[at] as number;
      yield { suffix: '_bucket', values, le: String(bound), figure: count };
    }
    count += this.#counts[this.#bounds.length] as number;
    yield { suffix: '_bucket', values, le: '+Inf', figure: count };
    yield { suffix: '_sum', values, figure: this.#sum };
    yield { suffix: '_count', values, figure: count };
  }
}

export class Histograms implements Metric {
  readonly type = 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly #histograms: ByLabels<Histogram>;

  constructor({ name, help, labels }: Description, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.labels = labels;
    this.#histograms = new ByLabels(labels, () => new Histogram(bounds));
  }

  /** Keep the result if the same values recur; the lookup builds a key. */
  of(...values: readonly string[]): Histogram {
    return this.#histograms.of(values);
  }

  *samples(): Iterable<Sample> {
    for (const { values, kept } of this.#histograms.all()) yield* kept.samples(values);
  }
}

/** The current values of a gauge, one for each combination of label values. */
export type Readings = Iterable<readonly [values: readonly string[], figure: number]>;

/** A figure that is read on request. With the type `counter`, it is counted elsewhere. */
export class Gauge implements Metric {
  readonly type: 'gauge' | 'counter';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly #read: () => Readings;

  constructor({ name, help, labels }: Description, read: () => Readings, type: 'gauge' | 'counter' = 'gauge') {
    this.type = type;
    this.name = name;
    this.help = help;
    this.labels = labels;
    this.#read = read;
  }

  *samples(): Iterable<Sample> {
    let left = mostCombinations;
    for (const [values, figure] of this.#read()) if (left-- > 0) yield { suffix: '', values, figure };
  }
}

/** A gauge with one figure and no label. */
export const gauge = (name: string, help: string, read: () => number): Metric =>
  new Gauge({ name, help, labels: [] }, () => [[[], read()]]);

/** The largest values of buckets that grow by `factor`. */
export const growing = (first: number, factor: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, at) => Number((first * factor ** at).toPrecision(6)));
