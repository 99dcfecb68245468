// /v1/chat/completions, /v1/completions, /v1/embeddings, the /v1 model list and transcriptions. A stream's last events are
// sent in one write, and a completion stream with requested usage carries zeros in every chunk but the last.
import {
  type Call,
  events,
  fail,
  failEarly,
  findModel,
  lacksMessages,
  plain,
  type Route,
  randomBelow,
  reply,
  type Spoken,
  silence,
  speak,
  startStream,
  textOf,
  unixSeconds,
  wholeV1,
} from './call.ts';
import type { FakeModel } from './fake-ollama.ts';
import { type GoObject, goJson, isObject } from './go-json.ts';
import { displayName, isProblem, readName } from './model-name.ts';
import { modifiedAt } from './models.ts';
import { inMemory, inputTexts, noModel, notFound, notPulled, refuse, vector } from './native.ts';
import { recordedJson } from './recordings.ts';

const data = (value: GoObject): string => `data: ${goJson(value)}\n\n`;
const wantsUsage = ({ body }: Call): boolean =>
  isObject(body['stream_options']) && body['stream_options']['include_usage'] === true;
const usageOf = ({ promptTokens, completionTokens }: Pick<Spoken, 'promptTokens' | 'completionTokens'>): GoObject => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});

export const chatCompletions: Route = async (call) => {
  const { answer, body } = call;
  const { model: raw, messages } = body;
  const found = findModel(call, raw, { noName: noModel, notThere: () => notFound(raw) });
  if (lacksMessages(call, found)) return failEarly(call, 400, "[] is too short - 'messages'");
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  const refusal = refuse(call, found);
  if (refusal !== undefined) return fail(call, 400, refusal);
  if (!(await inMemory(call, found))) return;

  const own = { id: `chatcmpl-${randomBelow(999)}`, created: unixSeconds(), model: raw };
  if (body['stream'] !== true) {
    const spoken = await speak(call, messages, body['max_tokens']);
    if (!spoken.heard) return;
    const choices = [{ index: 0, message: { role: 'assistant', content: spoken.text }, finish_reason: spoken.reason }];
    return wholeV1(call, { ...recordedJson('v1-chat', 0), ...own, choices, usage: usageOf(spoken) });
  }
  const chunk = (delta: GoObject, finish: string | null): GoObject => ({
    ...recordedJson('v1-chat-stream', 0),
    ...own,
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  const first = (content: string): string => data(chunk({ role: 'assistant', content }, null));
  const spoken = await speak(call, messages, body['max_tokens'], (content, index) => {
    if (index === 0) startStream(call, events);
    return answer.chunk(index === 0 ? first(content) : data(chunk({ content }, null)));
  });
  if (!spoken.heard) return;
  const empty = spoken.completionTokens === 0;
  if (empty) startStream(call, events);
  const finish = data(chunk({}, spoken.reason));
  const counted = wantsUsage(call) ? data({ ...chunk({}, null), choices: [], usage: usageOf(spoken) }) : '';
  await answer.chunk(`${empty ? first('') : ''}${finish}${counted}data: [DONE]\n\n`);
  return answer.end();
};

export const completions: Route = async (call) => {
  const { answer, body } = call;
  const { model: raw, prompt } = body;
  const found = findModel(call, raw, { noName: notFound(raw), notThere: () => notFound(raw) });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);

  const own = { id: `cmpl-${randomBelow(999)}`, created: unixSeconds(), model: raw };
  const idle = prompt === undefined || prompt === null || prompt === '';
  if (body['stream'] !== true) {
    const spoken = idle ? silence : await speak(call, prompt, body['max_tokens']);
    if (!spoken.heard) return;
    const choices = [{ text: spoken.text, index: 0, finish_reason: idle ? 'load' : spoken.reason }];
    return wholeV1(call, { ...recordedJson('v1-completions', 0), ...own, choices, usage: usageOf(spoken) });
  }
  const zero = wantsUsage(call) ? { usage: usageOf({ promptTokens: 0, completionTokens: 0 }) } : {};
  const chunk = (text: string, finish: string | null): GoObject => ({
    ...recordedJson('v1-completions-stream', 0),
    ...own,
    choices: [{ text, index: 0, finish_reason: finish }],
    ...zero,
  });
  const last = (spoken: Spoken, reason: string): string => {
    const finish = chunk('', reason);
    const counted = wantsUsage(call) ? data({ ...finish, choices: [], usage: usageOf(spoken) }) : '';
    return `${data(finish)}${counted}data: [DONE]\n\n`;
  };
  // Loading is one answer with a length, even if it is spelled as events.
  if (idle) return reply(call, 200, events, last(silence, 'load'));
  const spoken = await speak(call, prompt, body['max_tokens'], (piece, index) => {
    if (index === 0) startStream(call, events);
    return answer.chunk(data(chunk(piece, null)));
  });
  if (!spoken.heard) return;
  if (spoken.completionTokens === 0) startStream(call, events);
  await answer.chunk(last(spoken, spoken.reason));
  return answer.end();
};

export const v1Embeddings: Route = (call) => {
  const { model: raw, input, encoding_format: format } = call.body;
  const texts = input === '' ? [''] : inputTexts(input);
  if (input === undefined || input === null || texts?.length === 0) return failEarly(call, 400, 'invalid input');
  const base64 = textOf(format).toLowerCase() === 'base64';
  if (textOf(format) !== '' && !base64 && textOf(format).toLowerCase() !== 'float')
    return failEarly(
      call,
      400,
      `Invalid value for 'encoding_format' = ${textOf(format)}. Supported values: ['float', 'base64'].`,
    );
  if (!texts) return fail(call, 400, 'invalid input type');
  const found = findModel(call, raw, { noName: notFound(raw), notThere: () => notPulled(raw) });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  if (found.model.embeds === false) return fail(call, 501, String(recordedJson('embed', 0)['error']));
  const promptTokens = call.fake.countPrompt(input);
  call.fake.totals.promptTokens += promptTokens;
  const packed = Buffer.from(Float32Array.from(vector).buffer).toString('base64');
  const embedding = base64 ? packed : vector;
  return wholeV1(call, {
    object: 'list',
    data: texts.map((_, index) => ({ object: 'embedding', embedding, index })),
    model: raw,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  });
};

export const v1Models: Route = (call) => {
  const entries = call.fake.models.map((model) => modelEntry(model.name, model));
  // A Go slice that was never filled is null.
  return wholeV1(call, { object: 'list', data: entries.length === 0 ? null : entries });
};

/** One path segment only: a name with a slash has no route. */
export const v1Model: Route = (call) => {
  const raw = call.path.slice('/v1/models/'.length);
  const found = findModel(call, raw, { noName: noModel, notThere: (read) => notFound(displayName(read)) });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  return wholeV1(call, modelEntry(raw, found.model));
};

function modelEntry(id: string, model: FakeModel): GoObject {
  const read = readName(id);
  const owner = isProblem(read) ? 'library' : read.namespace;
  return { id, object: 'model', created: Math.floor(Date.parse(modifiedAt(model)) / 1000), owned_by: owner };
}

/**
 * Simplified: the audio is not read, and no tokens are counted, as Ollama reports none here. Go's FormValue prefers a
 * `model` in the query to the form's.
 */
export const transcriptions: Route = async (call) => {
  const form = (await call.request.body).toString('latin1');
  if (!/^multipart\/form-data\b/i.test(call.request.headers['content-type'] ?? ''))
    return failEarly(call, 400, "failed to parse multipart form: request Content-Type isn't multipart/form-data");
  const field = (name: string): string | undefined =>
    new RegExp(`name="${name}"(?:\\r\\n[^\\r\\n]+)*\\r\\n\\r\\n([^\\r\\n]*)`, 'i').exec(form)?.[1];
  const query = new URLSearchParams(call.request.url.split('?')[1] ?? '');
  const raw = query.get('model') ?? field('model') ?? '';
  if (raw === '') return failEarly(call, 400, 'model is required');
  if (!/name="file"; filename=/i.test(form)) return failEarly(call, 400, 'file is required: http: no such file');
  const found = findModel(call, raw, { noName: noModel, notThere: () => notFound(raw) });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  if ((query.get('response_format') ?? field('response_format')) === 'text') return reply(call, 200, plain, 'hello');
  return wholeV1(call, { text: 'hello' });
};
