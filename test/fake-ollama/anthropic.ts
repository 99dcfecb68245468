// /v1/messages. The input tokens of message_start are an estimate from the length of the text; the true figure comes with
// message_delta, and a meter that trusts the first one is wrong.
import {
  fail,
  failEarly,
  findModel,
  lacksMessages,
  namedEvents,
  type Route,
  randomId,
  speak,
  startStream,
  textOf,
  wholeV1,
} from './call.ts';
import { type GoObject, goJson, isObject } from './go-json.ts';
import { noModel, notFound, refuse } from './native.ts';
import { recordedEvents, recordedJson } from './recordings.ts';

export const messages: Route = async (call) => {
  const { answer, body } = call;
  const { model: raw, messages: turns, max_tokens: limit } = body;
  const found = findModel(call, raw, { noName: noModel, notThere: () => notFound(raw) });
  if (typeof raw !== 'string' || raw === '') return failEarly(call, 400, 'model is required');
  if (typeof limit !== 'number' || limit <= 0)
    return failEarly(call, 400, 'max_tokens is required and must be positive');
  if (lacksMessages(call, found)) return failEarly(call, 400, 'messages is required');
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  const refusal = refuse(call, found);
  if (refusal !== undefined) return fail(call, 400, refusal);

  const id = randomId('msg');
  if (body['stream'] !== true) {
    const spoken = await speak(call, turns, limit);
    if (!spoken.heard) return;
    const usage = { input_tokens: spoken.promptTokens, output_tokens: spoken.completionTokens };
    const content = [{ type: 'text', text: spoken.text }];
    return wholeV1(call, {
      ...recordedJson('v1-messages', 0),
      id,
      model: raw,
      content,
      stop_reason: stopReason(spoken.reason),
      usage,
    });
  }

  const recordedByType = new Map(recordedEvents('v1-messages-stream').map((event) => [event['type'], event]));
  const send = (type: string, fields: GoObject): Promise<boolean> =>
    answer.chunk(`event: ${type}\ndata: ${goJson({ ...recordedByType.get(type), ...fields })}\n\n`);
  const start = recordedByType.get('message_start')?.['message'];
  const open = async (): Promise<void> => {
    startStream(call, namedEvents);
    const usage = { input_tokens: estimate(body), output_tokens: 0 };
    await send('message_start', { message: { ...(isObject(start) ? start : {}), id, model: raw, usage } });
  };
  const spoken = await speak(call, turns, limit, async (text, index) => {
    if (index === 0) {
      await open();
      await send('content_block_start', {});
    }
    return send('content_block_delta', { delta: { type: 'text_delta', text } });
  });
  if (!spoken.heard) return;
  if (spoken.completionTokens === 0) await open();
  else await send('content_block_stop', {});
  const usage = { input_tokens: spoken.promptTokens, output_tokens: spoken.completionTokens };
  await send('message_delta', { delta: { stop_reason: stopReason(spoken.reason) }, usage });
  await send('message_stop', {});
  return answer.end();
};

function stopReason(reason: 'stop' | 'length'): string {
  return reason === 'length' ? 'max_tokens' : 'end_turn';
}

/** A quarter of the bytes of roles, texts and system prompt, as Ollama guesses. */
function estimate({ system, messages: turns }: GoObject): number {
  let bytes = contentBytes(system);
  for (const turn of Array.isArray(turns) ? turns : []) {
    if (isObject(turn)) bytes += Buffer.byteLength(textOf(turn['role'])) + contentBytes(turn['content']);
  }
  return Math.max(1, Math.floor(bytes / 4));
}

function contentBytes(content: unknown): number {
  if (typeof content === 'string') return Buffer.byteLength(content);
  if (!Array.isArray(content)) return 0;
  return content.reduce<number>(
    (sum, block) => sum + (isObject(block) ? Buffer.byteLength(textOf(block['text'])) : 0),
    0,
  );
}
