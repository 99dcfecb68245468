// The native inference routes: /api/generate, /api/chat, /api/embed and /api/embeddings. Loading and unloading are answered
// by one JSON object even if a stream was requested, as Ollama does.
import {
  type Call,
  type Found,
  fail,
  findModel,
  goNow,
  isBare,
  json,
  type Missing,
  metrics,
  ndjson,
  omitZero,
  type Route,
  reply,
  speak,
  startStream,
  textOf,
} from './call.ts';
import type { FakeOllama } from './fake-ollama.ts';
import { type GoObject, goJson, goQuote, isObject } from './go-json.ts';
import { fullName } from './model-name.ts';
import { recordedJson } from './recordings.ts';

export const notFound = (raw: unknown): Missing => ({ status: 404, message: `model '${textOf(raw)}' not found` });
/** Embedding reports it in the scheduler's words. */
export const notPulled = (raw: unknown): Missing => ({
  status: 404,
  message: `model ${goQuote(textOf(raw))} not found, try pulling it first`,
});
export const noModel: Missing = { status: 400, message: 'model is required' };

export const generate: Route = (call) => {
  const { model: raw, prompt } = call.body;
  const found = findModel(call, raw, { noName: notFound(raw), notThere: () => notFound(raw) });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  const idle = prompt === undefined || prompt === '';
  return run(call, found, 'generate', idle ? undefined : prompt, (text) => ({ response: text }));
};

export const chat: Route = (call) => {
  const { model: raw, messages } = call.body;
  const found = findModel(call, raw, { noName: noModel, notThere: () => notFound(raw) });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  const idle = !Array.isArray(messages) || messages.length === 0;
  return run(call, found, 'chat', idle ? undefined : messages, (text) => ({
    message: { role: 'assistant', content: text },
  }));
};

async function run(
  call: Call,
  found: Found,
  kind: 'generate' | 'chat',
  prompt: unknown,
  says: (text: string) => GoObject,
): Promise<void> {
  const { answer, body } = call;
  const unloads = prompt === undefined && isZero(body['keep_alive']);
  const refusal = unloads ? undefined : refuse(call, found);
  if (refusal !== undefined) return fail(call, 400, refusal);
  // The model is returned as the caller spelled it.
  const line = (text: string, rest: GoObject): string =>
    goJson({ model: body['model'], created_at: goNow(), ...says(text), ...rest });
  if (!unloads && !(await inMemory(call, found))) return;
  if (prompt === undefined)
    return reply(call, 200, json, line('', { done: true, done_reason: unloads ? 'unload' : 'load' }));

  const options = isObject(body['options']) ? body['options'] : {};
  // Only generate returns the tokens of the conversation.
  const context =
    kind === 'generate' && body['raw'] !== true ? { context: recordedJson('generate', 0)['context'] } : {};
  if (body['stream'] === false) {
    const spoken = await speak(call, prompt, options['num_predict']);
    if (!spoken.heard) return;
    return reply(
      call,
      200,
      json,
      line(spoken.text, { done: true, done_reason: spoken.reason, ...context, ...metrics(spoken) }),
    );
  }
  const spoken = await speak(call, prompt, options['num_predict'], (piece, index) => {
    if (index === 0) startStream(call, ndjson);
    return answer.chunk(`${line(piece, { done: false })}\n`);
  });
  if (!spoken.heard) return;
  if (spoken.completionTokens === 0) startStream(call, ndjson);
  await answer.chunk(`${line('', { done: true, done_reason: spoken.reason, ...context, ...metrics(spoken) })}\n`);
  return answer.end();
}

/** Loads the model if it is not in memory, for as long as the caller is there. False: that failed, or the caller has left. */
export async function inMemory(call: Call, { model }: Found): Promise<boolean> {
  const { fake, request } = call;
  const { name, loaded } = model;
  if (loaded !== false || fake.inMemory.has(name)) return true;
  const load: FakeOllama['loads'][number] = { model: name, state: 'runs' };
  fake.loads.push(load);
  const left = request.aborted.then(() => 'given up' as const);
  const end = await Promise.race([left, Promise.resolve(fake.loading?.(name)).then(() => 'done' as const)]).catch(
    (error: Error) => error,
  );
  load.state = end instanceof Error ? 'failed' : end;
  const context = isObject(call.body['options']) ? call.body['options']['num_ctx'] : undefined;
  if (end === 'done') fake.inMemory.set(name, typeof context === 'number' ? context : undefined);
  if (end instanceof Error) await fail(call, 500, end.message);
  return end === 'done';
}

/** What a model cannot do. */
export function refuse({ body }: Call, { name, model }: Found): string | undefined {
  if (isBare(model)) return undefined;
  const capabilities = model.capabilities ?? ['completion'];
  if (body['think'] === true && !capabilities.includes('thinking'))
    return `${goQuote(textOf(body['model']))} does not support thinking`;
  const tools = body['tools'];
  if (Array.isArray(tools) && tools.length > 0 && !capabilities.includes('tools'))
    return `${fullName(name)} does not support tools`;
  return undefined;
}

function isZero(keepAlive: unknown): boolean {
  return keepAlive === 0 || (typeof keepAlive === 'string' && /^0+[a-z]*$/.test(keepAlive));
}

export const embed: Route = async (call) => {
  const { model: raw, input } = call.body;
  const texts = inputTexts(input);
  if (!texts) return fail(call, 400, 'invalid input type');
  const found = findModel(call, raw, { noName: notFound(raw), notThere: () => notPulled(raw) });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  if (!(await inMemory(call, found))) return;
  if (texts.length === 0) return reply(call, 200, json, goJson({ model: raw, embeddings: [] }));
  if (found.model.embeds === false) return fail(call, 501, String(recordedJson('embed', 0)['error']));
  const { total_duration, load_duration } = recordedJson('chat', 0);
  const promptTokens = call.fake.countPrompt(input);
  call.fake.totals.promptTokens += promptTokens;
  const embeddings = texts.map(() => vector);
  return reply(
    call,
    200,
    json,
    goJson({ model: raw, embeddings, total_duration, load_duration, ...omitZero({ prompt_eval_count: promptTokens }) }),
  );
};

export const embeddings: Route = (call) => {
  const { model: raw, prompt } = call.body;
  const found = findModel(call, raw, { noName: noModel, notThere: () => notPulled(raw) });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  if (prompt === undefined || prompt === '') return reply(call, 200, json, goJson({ embedding: [] }));
  if (found.model.embeds === false) return fail(call, 500, String(recordedJson('embeddings', 0)['error']));
  return reply(call, 200, json, goJson({ embedding: vector }));
};

/** Normalised to length one, as Ollama does. */
export const vector: readonly number[] = [0.6, 0.8];

export function inputTexts(input: unknown): string[] | undefined {
  if (input === undefined || input === null || input === '') return [];
  if (typeof input === 'string') return [input];
  if (!Array.isArray(input)) return undefined;
  return input.every((text) => typeof text === 'string') ? input : undefined;
}
