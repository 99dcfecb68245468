// A chat through the gateway's data plane, like any program: a key in a header, and an answer that streams in lines.
import { api, Problem } from '../api.ts';
import type { KeyWithSecret } from '../api-types.ts';

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface Figures {
  readonly prompt: number;
  readonly completion: number;
  /** Tokens a second. */
  readonly speed: number;
}

export interface Asked {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly temperature: number;
  readonly signal: AbortSignal;
  readonly onText: (piece: string) => void;
}

/** The data plane accepts no cookies, so the page has a short-lived key, in memory only, which is revoked when the page is left. */
export class ChatKey {
  #made: Promise<KeyWithSecret> | undefined;
  #madeAt = 0;

  async secret(): Promise<string> {
    // Answers can take long, so another key is created well before this one expires.
    if (Date.now() - this.#madeAt > 900_000) this.forget();
    if (this.#made === undefined) this.#madeAt = Date.now();
    this.#made ??= api.post<KeyWithSecret>('/me/page-keys', { name: 'playground' });
    try {
      return (await this.#made).secret ?? '';
    } catch (error) {
      this.#made = undefined;
      throw error;
    }
  }

  forget(): void {
    const made = this.#made;
    this.#made = undefined;
    void made?.then(({ id }) => api.post(`/me/keys/${id}/revoke`)).catch(() => undefined);
  }
}

interface Line {
  readonly message?: { readonly content?: string };
  readonly error?: string;
  readonly done?: boolean;
  readonly prompt_eval_count?: number;
  readonly eval_count?: number;
  readonly eval_duration?: number;
}

/** The answer was cut off, or ended with an error. */
export class CutError extends Error {
  override readonly name = 'CutError';
}

/** @throws Problem, CutError; what `fetch` throws where the gate cannot be reached. */
export async function chat(secret: string, asked: Asked): Promise<Figures> {
  const { model, messages, temperature, signal, onText } = asked;
  const response = await fetch('/api/chat', {
    method: 'POST',
    credentials: 'omit',
    headers: { 'content-type': 'application/json', 'x-api-key': secret },
    body: JSON.stringify({ model, messages, options: { temperature } }),
    signal,
  });
  if (!response.ok || !response.body) throw await Problem.of(response);
  let figures: Figures | undefined;
  let rest = '';
  const take = (text: string): void => {
    const line = JSON.parse(text) as Line;
    if (line.error !== undefined) throw new CutError();
    if (line.message?.content !== undefined) onText(line.message.content);
    if (line.done !== true) return;
    const completion = line.eval_count ?? 0;
    const seconds = (line.eval_duration ?? 0) / 1e9;
    figures = { prompt: line.prompt_eval_count ?? 0, completion, speed: seconds > 0 ? completion / seconds : 0 };
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
  if (!figures) throw new CutError();
  return figures;
}
