// What Ollama says about its models beyond their list: the context that each is loaded with (/api/ps), and the length of an
// answer that its own parameters set (/api/show). It is asked after a probe, never for a call; what cannot be read is
// unknown. A server without such a route is not asked again until its list changes.
import { parseModelName } from '../../../domain/model-name.ts';
import { readWhole } from '../../bounded-answer.ts';
import { isCount, mostBytes, mostContext } from '../../counts.ts';
import type { Known, ModelDetails, Reached } from '../../kind.ts';

const askTimeoutMs = 5_000;
const maxAnswerBytes = 8 * 1024 * 1024;
/** Models queried after one probe; the rest follow after the next. */
const shownPerLook = 32;
const mostModels = 2_000;
/** Runners count tokens in 32 bits. */
const mostAnswerTokens = 2 ** 31 - 1;

interface PsEntry {
  readonly name?: unknown;
  readonly context_length?: unknown;
  readonly size?: unknown;
}

interface Shown {
  readonly digest: string;
  readonly answerTokens: number | undefined;
}

export class OllamaDetails implements ModelDetails {
  /** Context by canonical name, for loaded models. */
  #contexts: ReadonlyMap<string, number> = new Map();
  loaded: ReadonlyMap<string, number> | undefined;
  readonly queue = undefined;
  readonly #shown = new Map<string, Shown>();
  #hasPs = true;
  #hasShow = true;
  #list = '';
  #looking = false;

  contextOf(canonical: string): number | undefined {
    return this.#contexts.get(canonical);
  }

  answerTokensOf(canonical: string): number | undefined {
    return this.#shown.get(canonical)?.answerTokens;
  }

  /** Ollama does not report it; the setting OLLAMA_NUM_PARALLEL determines it. */
  slotsOf(): undefined {
    return undefined;
  }

  async look(server: Reached, { digests }: Known): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const list = [...digests].join();
    if (list !== this.#list) {
      this.#list = list;
      this.#hasPs = true;
      this.#hasShow = true;
      for (const name of this.#shown.keys()) if (!digests.has(name)) this.#shown.delete(name);
    }
    try {
      // A server without models has none loaded; one that lists them without digests is not Ollama, and says nothing.
      if (digests.size === 0) {
        this.#contexts = new Map();
        this.loaded = undefined;
      } else if (this.#hasPs) await this.#lookAtLoaded(server);
      if (this.#hasShow) await this.#lookAtParameters(server, digests);
    } catch {
      // The probe of the list decides whether the server answers.
      this.#contexts = new Map();
    } finally {
      this.#looking = false;
    }
  }

  async #lookAtLoaded(server: Reached): Promise<void> {
    const answer = await ask(server, 'GET', '/api/ps');
    this.#hasPs = answer.status !== 404;
    const entries = (answer.json as { models?: unknown } | null)?.models;
    const contexts = new Map<string, number>();
    const loaded = new Map<string, number>();
    for (const entry of Array.isArray(entries) ? (entries.slice(0, mostModels) as PsEntry[]) : []) {
      const name = typeof entry?.name === 'string' ? parseModelName(entry.name)?.canonical : undefined;
      if (name === undefined) continue;
      const { context_length: context, size } = entry;
      loaded.set(name, isCount(size, mostBytes) ? size : 0);
      if (isCount(context, mostContext)) contexts.set(name, context);
    }
    this.#contexts = contexts;
    this.loaded = this.#hasPs && Array.isArray(entries) ? loaded : undefined;
  }

  async #lookAtParameters(server: Reached, digests: ReadonlyMap<string, string>): Promise<void> {
    let asked = 0;
    for (const [name, digest] of digests) {
      if (this.#shown.get(name)?.digest === digest) continue;
      if (++asked > shownPerLook || (this.#shown.size >= mostModels && !this.#shown.has(name))) return;
      const answer = await ask(server, 'POST', '/api/show', JSON.stringify({ model: name }));
      if (answer.status >= 500) return;
      const { parameters } = (answer.json ?? {}) as { parameters?: unknown };
      // A 404 for a later model may mean that the model is gone; for the first one, that the route is missing.
      if (answer.status === 404 && asked === 1) this.#hasShow = false;
      this.#shown.set(name, {
        digest,
        answerTokens: typeof parameters === 'string' ? answerTokensIn(parameters) : undefined,
      });
    }
  }
}

/** `num_predict                    12`, one parameter per line; the last one applies, and below 1 it is no limit. */
function answerTokensIn(parameters: string): number | undefined {
  let found: number | undefined;
  for (const line of parameters.split('\n')) {
    if (!line.startsWith('num_predict ')) continue;
    const figure = Number(line.slice('num_predict '.length));
    found = isCount(figure, mostAnswerTokens) ? figure : undefined;
  }
  return found;
}

async function ask(
  { dispatcher, basePath, credentials }: Reached,
  method: 'GET' | 'POST',
  path: string,
  body?: string,
): Promise<{ status: number; json: unknown }> {
  const answer = await dispatcher.request({
    method,
    path: `${basePath}${path}`,
    headers: [...credentials.headers, ...(body === undefined ? [] : ['content-type', 'application/json'])],
    ...(body === undefined ? {} : { body }),
    headersTimeout: askTimeoutMs,
    bodyTimeout: askTimeoutMs,
    signal: AbortSignal.timeout(askTimeoutMs),
  });
  const text = (await readWhole(answer.body, maxAnswerBytes)).toString('utf8');
  return { status: answer.statusCode, json: answer.statusCode === 200 ? (JSON.parse(text) as unknown) : null };
}
