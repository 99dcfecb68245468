// Manages the models of an Ollama server: details of a model, unloading it, pulling one (docs/api.md, "Show Model Information",
// "Unload a model", "Pull a Model"). The words of the server are passed on unchanged; callers screen them before they show them.
import type { Dispatcher } from 'undici';
import { readWhole } from '../../bounded-answer.ts';
import type { Fields, ModelControl, PullLine, Reached } from '../../kind.ts';
import { ManagementFailed } from '../../management-failed.ts';

const mostAnswerBytes = 8 * 1024 * 1024;
const mostLineBytes = 64 * 1024;
const askTimeoutMs = 20_000;
/** Ollama says nothing while it verifies a large file. */
const silentMs = 30 * 60_000;

export const ollamaModels: ModelControl = {
  async describe(server, model) {
    const { body } = await send(server, '/api/show', { model }, AbortSignal.timeout(askTimeoutMs));
    return parsed((await readWhole(body, mostAnswerBytes)).toString('utf8'));
  },

  async unload(server, model) {
    const request = { model, keep_alive: 0 };
    const { body } = await send(server, '/api/generate', request, AbortSignal.timeout(askTimeoutMs));
    await readWhole(body, mostAnswerBytes);
  },

  async *pull(server, model, signal) {
    const { body } = await send(server, '/api/pull', { model }, signal);
    for await (const line of linesOf(body)) yield lineOf(parsed(line));
  },
};

/** @throws ManagementFailed with what the server says, or whatever a request throws. */
async function send(
  { dispatcher, basePath, credentials }: Reached,
  path: string,
  request: object,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const answer = await dispatcher.request({
    method: 'POST',
    path: basePath + path,
    headers: [...credentials.headers, 'content-type', 'application/json'],
    body: JSON.stringify(request),
    // `signal` limits the others.
    headersTimeout: silentMs,
    bodyTimeout: silentMs,
    signal,
  });
  if (answer.statusCode === 200) return answer;
  const text = (await readWhole(answer.body, mostAnswerBytes)).toString('utf8');
  throw new ManagementFailed(answer.statusCode, errorIn(text));
}

async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > mostLineBytes) throw new Error('a line of the answer is too long');
    yield* lines.filter((line) => line.trim() !== '');
  }
  if (rest.trim() !== '') yield rest;
}

/** @throws ManagementFailed for a line that tells of an error. */
function lineOf({ error, status, digest, total, completed }: Fields): PullLine {
  if (error !== undefined) throw new ManagementFailed(200, typeof error === 'string' ? error : undefined);
  const bytes = (value: unknown): number =>
    Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : 0;
  return {
    status: typeof status === 'string' ? status.slice(0, 200) : '',
    layer: typeof digest === 'string' ? digest.slice(0, 100) : undefined,
    total: bytes(total),
    completed: bytes(completed),
  };
}

/** @throws Error whose message has nothing of the text. */
function parsed(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Fields;
  } catch {
    // Said below.
  }
  throw new Error('its answer is not JSON');
}

function errorIn(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { readonly error?: unknown };
    return typeof error === 'string' ? error : undefined;
  } catch {
    return undefined;
  }
}
