// Has a router of llama-server load a model: /models/load begins it and answers at once, and the list says how it goes
// (tools/server/server-models.cpp). A server with one model has no such route.
import { setTimeout as pause } from 'node:timers/promises';
import { readWhole } from '../../bounded-answer.ts';
import { entriesOf, entryOf, readJson } from '../../json-route.ts';
import type { Fields, ModelLoads, Reached } from '../../kind.ts';
import { LoadFailed } from '../../loads/load-failed.ts';

const betweenLooksMs = 250;
const mostAnswerBytes = 64 * 1024;

export const llamaLoads: ModelLoads = {
  wants: () => ({}),

  async load(server, model, _, via, signal) {
    const { dispatcher, basePath, credentials } = server;
    const answer = await dispatcher.request({
      method: 'POST',
      path: `${basePath}/models/load`,
      headers: [...via, ...credentials.headers, 'content-type', 'application/json'],
      body: JSON.stringify({ model }),
      signal,
    });
    const bytes = await readWhole(answer.body, mostAnswerBytes);
    if (answer.statusCode >= 500) throw new LoadFailed(answer.statusCode, bytes);
    // 400: another client already has it loaded. Any other refusal means that it does not support loading.
    if (answer.statusCode !== 200 && answer.statusCode !== 400) return false;
    for (;;) {
      const status = await statusOf(server, model, signal);
      // A sleeping model is loaded again by the call that wakes it.
      if (status?.['value'] === 'loaded' || status?.['value'] === 'sleeping') return true;
      if (status?.['value'] !== 'loading') throw new LoadFailed(500, failureOf(status));
      await pause(betweenLooksMs, undefined, { signal, ref: false });
    }
  },
};

async function statusOf(server: Reached, model: string, signal: AbortSignal): Promise<Fields | undefined> {
  const list = entriesOf(await readJson(server, '/v1/models', signal, []), 'data').map(entryOf);
  return entryOf(list.find((entry) => entry?.['id'] === model)?.['status']);
}

function failureOf(status: Fields | undefined): Buffer {
  const code = status?.['exit_code'];
  const words = typeof code === 'number' ? `Its process ended with ${code}.` : 'It is not loading it.';
  return Buffer.from(JSON.stringify({ error: words }));
}
