// Merges the progress of several Ollama servers into one stream in Ollama's format. A layer has one line, with the sums over all
// servers; a status names the servers that have it, unless all that still work have the same. It sends nothing itself, and
// holds a bounded number of layers, whatever a server says.

/** A line of the merged stream. */
export interface ProgressLine {
  readonly status: string;
  readonly digest?: string;
  readonly total?: number;
  readonly completed?: number;
}

interface Layer {
  /** Bytes of one copy. */
  total: number;
  /** Bytes by server. */
  readonly completed: number[];
  sentAtMs: number;
}

const mostLayers = 1_000;
const mostStatus = 200;
/** Ollama writes a line for each of its servers about this often. */
const everyMs = 60;

export class MergedProgress {
  readonly #labels: readonly string[];
  readonly #write: (line: ProgressLine) => void;
  readonly #nowMs: () => number;
  readonly #layers = new Map<string, Layer>();
  /** The last status of each server; undefined: it has said nothing, or has ended. */
  readonly #status: (string | undefined)[];
  readonly #ended: boolean[];
  #last = '';

  /** `labels`: the names of the servers. `write` gets each line. `nowMs` is monotonic. */
  constructor(labels: readonly string[], write: (line: ProgressLine) => void, nowMs: () => number) {
    this.#labels = labels;
    this.#write = write;
    this.#nowMs = nowMs;
    this.#status = labels.map(() => undefined);
    this.#ended = labels.map(() => false);
  }

  /** Takes a line of the server at this index. */
  take(at: number, line: Readonly<Record<string, unknown>>): void {
    const { status, digest, total, completed } = line;
    if (typeof status !== 'string' || status.length > mostStatus) return;
    if (typeof digest === 'string' && /^sha256:[0-9a-f]{64}$/.test(digest) && isCount(total)) {
      this.#status[at] = status;
      this.#takeLayer(at, status, digest, total, isCount(completed) ? completed : 0);
    } else if (this.#status[at] !== status) {
      this.#status[at] = status;
      this.#say(status);
    }
  }

  /** The server has succeeded: it has all layers, also those of which it has said nothing. */
  succeed(at: number): void {
    for (const { completed, total } of this.#layers.values()) completed[at] = total;
    this.#end(at, 'finished');
  }

  fail(at: number, reason: string): void {
    this.#end(at, `failed: ${reason}`);
  }

  #takeLayer(at: number, status: string, digest: string, total: number, completed: number): void {
    let layer = this.#layers.get(digest);
    if (!layer) {
      if (this.#layers.size >= mostLayers) return;
      layer = { total: 0, completed: this.#labels.map(() => 0), sentAtMs: -Infinity };
      this.#layers.set(digest, layer);
    }
    layer.total = Math.max(layer.total, total);
    // What a server has once is not taken back, so that a bar never runs backwards.
    layer.completed[at] = Math.max(layer.completed[at] as number, Math.min(completed, total));
    const all = layer.total * this.#labels.length;
    const sum = layer.completed.reduce((most, each) => most + each, 0);
    const now = this.#nowMs();
    if (sum < all && now - layer.sentAtMs < everyMs) return;
    layer.sentAtMs = now;
    this.#last = '';
    this.#write({ status, digest, total: all, completed: sum });
  }

  #end(at: number, status: string): void {
    this.#ended[at] = true;
    this.#status[at] = undefined;
    // The last one ends the stream, which says so itself.
    if (this.#ended.includes(false)) this.#send(`${status} (${this.#labels[at]})`);
  }

  #say(status: string): void {
    const holders = this.#labels.filter((_, at) => this.#status[at] === status);
    const working = this.#ended.filter((ended) => !ended).length;
    this.#send(holders.length === working ? status : `${status} (${holders.join(', ')})`);
  }

  #send(status: string): void {
    if (status === this.#last) return;
    this.#last = status;
    this.#write({ status });
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
