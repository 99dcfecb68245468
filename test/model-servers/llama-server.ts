// llama-server b11549: with one model, from recordings (test/fixtures/llama-server-b11549; of a model with random weights);
// as a router, after tools/server/README.md, since the recorded build has no router.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Heard, Imitation, Said, State } from './imitation.ts';

const fixture = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../fixtures/llama-server-b11549', name), 'utf8');
const events = (name: string): string[] => fixture(name).split(/(?<=\n\n)/);

/** Of every route, until the model is loaded (tools/server/server-http.cpp). */
const loading: Said = {
  status: 503,
  body: '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}',
};
const failed: Said = { status: 500, body: '{"error":{"code":500,"message":"failed","type":"server_error"}}' };

const inState = ({ health }: State): Said | undefined =>
  health === 'loading' ? loading : health === 'failed' ? failed : undefined;

const { data } = JSON.parse(fixture('v1-models.json')) as { data: [Record<string, unknown>] };
const routed = (id: string, status: object, more: object = {}): object => ({
  id,
  aliases: [],
  tags: [],
  object: 'model',
  owned_by: 'llamacpp',
  created: 1_795_702_508,
  status,
  ...more,
});

export const routerModels = [
  routed('org/one-GGUF:Q4_K_M', { value: 'loaded', args: ['llama-server', '-ctx', '4096'] }, { meta: data[0]['meta'] }),
  routed('org/two-GGUF:Q4_K_M', { value: 'unloaded' }),
  routed('org/three-GGUF:Q4_K_M', { value: 'loading', args: ['llama-server'] }),
  routed('org/four-GGUF:Q4_K_M', { value: 'sleeping', args: ['llama-server'] }),
  routed('org/five-GGUF:Q4_K_M', { value: 'unloaded', args: ['llama-server'], failed: true, exit_code: 1 }),
];

const notFound = '{"error":{"message":"File Not Found","type":"not_found_error","code":404}}';

/** As it was before b4800. */
const withoutTimings = (event: string): string => event.replace(/,"timings":\{[^}]*\}/, '');
/** As it fails while it generates (format_error_response). */
const failingAtEnd = (event: string): string =>
  event.includes('"finish_reason":"')
    ? 'data: {"error":{"code":500,"message":"Compute error.","type":"server_error"}}\n\n'
    : event;

function generated({ url, body }: Heard, { usage }: State): Said | undefined {
  const isStream = body['stream'] === true;
  switch (url) {
    case '/v1/chat/completions':
      if (!isStream) return { body: fixture('chat.json') };
      if (usage === 'every') return { body: events('chat-stream-timings-per-token.txt') };
      if (usage === 'none') return { body: events('chat-stream-timings.txt').map(withoutTimings) };
      if (usage === 'after an error') return { body: events('chat-stream-usage.txt').map(failingAtEnd) };
      return { body: events(usage === 'last' ? 'chat-stream-usage.txt' : 'chat-stream-timings.txt') };
    case '/v1/completions':
      return { body: events('completion-stream.txt') };
    case '/v1/responses':
      return { body: events('responses-stream.txt') };
    case '/v1/messages':
      return { body: events('messages-stream.txt') };
    case '/v1/messages/count_tokens':
      return { body: fixture('count-tokens.json') };
    case '/v1/embeddings':
      return {
        status: 501,
        body: '{"error":{"code":501,"message":"This server does not support embeddings. Start it with `--embeddings`","type":"not_supported_error"}}',
      };
  }
  return undefined;
}

export const llamaServer: Imitation = {
  closesAfterStreams: true,
  missing: notFound,
  answer(heard, state) {
    const said = inState(state);
    if (said) return said;
    switch (`${heard.method} ${heard.url}`) {
      case 'GET /health':
        return { body: '{"status":"ok"}' };
      case 'GET /v1/models':
      case 'GET /models':
        return { body: fixture('v1-models.json') };
      case 'GET /props':
        return {
          body: fixture('props.json')
            .replace('"endpoint_metrics":true', `"endpoint_metrics":${state.hasMetrics}`)
            .replace('"is_sleeping":false', `"is_sleeping":${state.sleeps}`),
        };
      case 'GET /slots':
        // Seen in b11549: it loads a sleeping model again.
        state.sleeps = false;
        return { body: fixture('slots.json') };
      case 'GET /metrics':
        return state.hasMetrics
          ? { type: 'text/plain; version=0.0.4', body: withQueue(fixture('metrics.txt')) }
          : {
              status: 501,
              body: '{"error":{"code":501,"message":"This server does not support metrics endpoint. Start it with `--metrics`","type":"not_supported_error"}}',
            };
    }
    if (heard.method !== 'POST') return undefined;
    state.sleeps = false;
    return generated(heard, state);
  },
};

const withQueue = (metrics: string): string =>
  metrics
    .replace('\nllamacpp:requests_processing 0\n', '\nllamacpp:requests_processing 2\n')
    .replace('\nllamacpp:requests_deferred 0\n', '\nllamacpp:requests_deferred 3\n');

export const llamaRouter: Imitation = {
  closesAfterStreams: true,
  missing: notFound,
  answer(heard, state) {
    const said = inState(state);
    if (said) return said;
    switch (`${heard.method} ${heard.url}`) {
      case 'GET /health':
        return { body: '{"status":"ok"}' };
      case 'GET /v1/models':
      case 'GET /models':
        return { body: JSON.stringify({ data: routerModels, object: 'list' }) };
      case 'GET /props':
        return { body: '{"role":"router","max_instances":4,"models_autoload":true,"build_info":"b11549"}' };
      case 'GET /slots':
      case 'GET /metrics':
        return {
          status: 400,
          body: '{"error":{"code":400,"message":"model name is missing from the request","type":"invalid_request_error"}}',
        };
    }
    return heard.method === 'POST' ? generated(heard, state) : undefined;
  },
};
