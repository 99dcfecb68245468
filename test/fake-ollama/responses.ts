// /v1/responses: every event has a name and a number, and is sent in a write of its own. Only response.completed contains
// the usage.
import {
  type Call,
  fail,
  findModel,
  namedEvents,
  type Route,
  randomBelow,
  type Spoken,
  silence,
  speak,
  startStream,
  unixSeconds,
  wholeV1,
} from './call.ts';
import { type GoObject, goJson, isObject } from './go-json.ts';
import { noModel, notFound, refuse } from './native.ts';
import { recordedEvents, recordedJson } from './recordings.ts';

export const responses: Route = async (call) => {
  const { answer, body } = call;
  const { model: raw, input } = body;
  const found = findModel(call, raw, { noName: noModel, notThere: () => notFound(raw) });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  const refusal = refuse(call, found);
  if (refusal !== undefined) return fail(call, 400, refusal);

  // Without an input, the model is loaded and nothing is generated or counted.
  const idle = input === undefined || input === null || input === '' || (Array.isArray(input) && input.length === 0);
  const say = (send?: Parameters<typeof speak>[3]): Promise<Spoken> =>
    idle ? Promise.resolve(silence) : speak(call, input, body['max_output_tokens'], send);

  const ids = { response: `resp_${randomBelow(999_999)}`, message: `msg_${randomBelow(999_999)}` };
  if (body['stream'] !== true) {
    const spoken = await say();
    if (!spoken.heard) return;
    const template = recordedJson('v1-responses', 0);
    const output = withText(template['output'], ids.message, spoken.text);
    return wholeV1(call, {
      ...template,
      ...asked(call, ids.response),
      completed_at: unixSeconds(),
      output,
      usage: usageOf(spoken),
    });
  }

  const recordedByType = new Map(recordedEvents('v1-responses-stream').map((event) => [event['type'], event]));
  let number = 0;
  /** The recorded event of this type with other fields; Go writes these maps sorted, so the template's order stays. */
  const send = (type: string, fields: GoObject): Promise<boolean> => {
    const own = 'item_id' in (recordedByType.get(type) ?? {}) ? { item_id: ids.message } : {};
    const event = { ...recordedByType.get(type), ...own, ...fields, sequence_number: number++ };
    return answer.chunk(`event: ${type}\ndata: ${goJson(event)}\n\n`);
  };
  const open = async (): Promise<void> => {
    startStream(call, namedEvents);
    for (const type of ['response.created', 'response.in_progress']) {
      const response = recordedByType.get(type)?.['response'];
      await send(type, { response: { ...(isObject(response) ? response : {}), ...asked(call, ids.response) } });
    }
  };
  const spoken = await say(async (delta, index) => {
    if (index === 0) {
      await open();
      const item = recordedByType.get('response.output_item.added')?.['item'];
      await send('response.output_item.added', { item: { ...(isObject(item) ? item : {}), id: ids.message } });
      await send('response.content_part.added', {});
    }
    return send('response.output_text.delta', { delta });
  });
  if (!spoken.heard) return;
  const completed = recordedByType.get('response.completed')?.['response'];
  const template = isObject(completed) ? completed : {};
  const output = spoken.completionTokens === 0 ? null : withText(template['output'], ids.message, spoken.text);
  if (!output) await open();
  else {
    await send('response.output_text.done', { text: spoken.text });
    const part = recordedByType.get('response.content_part.done')?.['part'];
    await send('response.content_part.done', { part: { ...(isObject(part) ? part : {}), text: spoken.text } });
    await send('response.output_item.done', { item: output[0] });
  }
  const usage = sorted(usageOf(spoken));
  await send('response.completed', {
    response: { ...template, ...asked(call, ids.response), completed_at: unixSeconds(), output, usage },
  });
  return answer.end();
};

/** What the answer repeats of the question. */
function asked({ body }: Call, id: string): GoObject {
  return {
    id,
    created_at: unixSeconds(),
    model: body['model'],
    instructions: body['instructions'] ?? null,
    max_output_tokens: body['max_output_tokens'] ?? null,
    temperature: body['temperature'] ?? 1,
    top_p: body['top_p'] ?? 1,
  };
}

/** A recorded `output` with another id and text. */
function withText(output: unknown, id: string, text: string): GoObject[] {
  const [message] = (Array.isArray(output) ? output : []) as GoObject[];
  const [part] = (Array.isArray(message?.['content']) ? message['content'] : []) as GoObject[];
  return [{ ...message, id, content: [{ ...part, text }] }];
}

function usageOf({ promptTokens, completionTokens }: Spoken): GoObject {
  return {
    input_tokens: promptTokens,
    output_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens_details: { reasoning_tokens: 0 },
  };
}

/**
 * The stream builds its usage from a map, which Go writes sorted; the whole answer from a struct, which it does not.
 */
function sorted(value: GoObject): GoObject {
  return Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
