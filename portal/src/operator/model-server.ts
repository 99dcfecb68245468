// Calls the model servers through the data plane, with the page's own key, which is valid for an hour and only in memory.
import { api, Problem } from '../api.ts';
import type { KeyWithSecret, PageOf, Server } from '../api-types.ts';

export interface StoredModel {
  readonly name: string;
  readonly size: number;
  readonly modified_at: string;
}

export interface ServerChoice {
  readonly name: string;
}

export interface Progress {
  readonly status: string;
  readonly completed: number;
  readonly total: number;
}

/** The server refused the pull; `said` is its own message, which is shown as such. */
export class PullError extends Error {
  override readonly name = 'PullError';
  readonly said: string;
  constructor(said: string) {
    super('the pull was refused');
    this.said = said;
  }
}

export class ModelServer {
  #made: Promise<KeyWithSecret> | undefined;

  async list(): Promise<readonly StoredModel[]> {
    const response = await this.#ask('GET', '/api/tags');
    return ((await response.json()) as { models: readonly StoredModel[] }).models;
  }

  /** The servers with Ollama's routes for models. */
  async servers(): Promise<readonly ServerChoice[]> {
    const { items } = await api.get<PageOf<Server>>('/servers');
    return items
      .filter(({ kind, detectedKind, maintenance }) => (detectedKind ?? kind ?? 'ollama') === 'ollama' && !maintenance)
      .map(({ name }) => ({ name }));
  }

  /** `servers`: `all`, or the name of one; undefined: the gateway chooses. */
  async remove(name: string, servers: string | undefined): Promise<void> {
    await this.#ask('DELETE', '/api/delete', { model: name }, servers);
  }

  /** @throws Problem, PullError. */
  async pull(
    name: string,
    servers: string | undefined,
    signal: AbortSignal,
    onProgress: (progress: Progress) => void,
  ): Promise<void> {
    const response = await this.#ask('POST', '/api/pull', { model: name }, servers, signal);
    if (!response.body) return;
    let rest = '';
    const take = (text: string): void => {
      const {
        error,
        status = '',
        completed = 0,
        total = 0,
      } = JSON.parse(text) as Partial<Progress> & { error?: string };
      if (error !== undefined) throw new PullError(error);
      onProgress({ status, completed, total });
    };
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') take(line);
    }
    if (rest.trim() !== '') take(rest);
  }

  forget(): void {
    const made = this.#made;
    this.#made = undefined;
    void made?.then(({ id }) => api.post(`/me/keys/${id}/revoke`)).catch(() => undefined);
  }

  async #ask(method: string, path: string, body?: unknown, servers?: string, signal?: AbortSignal): Promise<Response> {
    const scopes = ['metadata', 'models:pull', 'models:delete'];
    this.#made ??= api.post<KeyWithSecret>('/me/page-keys', { name: 'models page', scopes });
    const made = await this.#made.catch((error: unknown) => {
      this.#made = undefined;
      throw error;
    });
    const response = await fetch(path, {
      method,
      credentials: 'omit',
      headers: {
        'x-api-key': made.secret ?? '',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(servers === undefined ? {} : { 'x-sekisho-servers': servers }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
    if (response.ok) return response;
    throw await Problem.of(response);
  }
}
