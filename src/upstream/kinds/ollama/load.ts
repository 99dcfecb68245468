// Has Ollama load a model without generating: a request without a prompt (docs/api.md, "Load a model"; server/routes.go,
// GenerateHandler). Ollama gives a load up when the connection of the request that needs it closes, so the gateway's own request
// needs it, and no caller's.
import { readWhole } from '../../bounded-answer.ts';
import type { Fields, ModelLoads } from '../../kind.ts';
import { LoadFailed } from '../../loads/load-failed.ts';
import { reloadOptions } from './reload-options.ts';

/** As long as Ollama keeps a model by itself; the calls that follow say how long they want it. */
const keepAlive = '5m';
const mostAnswerBytes = 64 * 1024;
/** /api/generate refuses to load a model that only embeds. */
const embeddings = new Set(['/api/embed', '/api/embeddings', '/v1/embeddings']);
/** Ollama reloads a model for a call whose values differ from those it was loaded with. */
const loadedWith = ['num_ctx', ...reloadOptions];

export const ollamaLoads: ModelLoads = {
  wants({ path, body }) {
    // It unloads the model.
    if (body && isZero(body['keep_alive']) && isEmpty(body['prompt']) && isEmpty(body['messages'])) return undefined;
    const given = (path.startsWith('/api/') ? body?.['options'] : undefined) as Fields | undefined;
    const options = Object.fromEntries(
      loadedWith.flatMap((name) => (given?.[name] === undefined ? [] : [[name, given[name]] as const])),
    );
    return embeddings.has(path) ? { embeds: true, options } : { embeds: false, options };
  },

  async load({ dispatcher, basePath, credentials }, model, { embeds, options }, via, signal) {
    const fields = embeds === true ? { input: '' } : { stream: false };
    const answer = await dispatcher.request({
      method: 'POST',
      path: basePath + (embeds === true ? '/api/embed' : '/api/generate'),
      headers: [...via, ...credentials.headers, 'content-type', 'application/json'],
      body: JSON.stringify({ model, ...fields, keep_alive: keepAlive, options }),
      // `signal` limits the time.
      headersTimeout: 0,
      bodyTimeout: 0,
      signal,
    });
    const bytes = await readWhole(answer.body, mostAnswerBytes);
    if (answer.statusCode >= 500) throw new LoadFailed(answer.statusCode, bytes);
    return answer.statusCode === 200;
  },
};

/** A duration of none: `0`, `"0"`, `"0s"`. */
const isZero = (value: unknown): boolean => value === 0 || (typeof value === 'string' && /^0+[a-z]*$/.test(value));

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
