// Translates a whole answer of /v1/chat/completions into a response of OpenAI's Responses API.
import { BlockList, Blocks } from '../chat/blocks.ts';
import { readWhole } from '../chat/chat-events.ts';
import type { Answering } from '../translation.ts';
import { formOf } from './items.ts';
import type { ResponsesAsked } from './request.ts';
import { endedBy, idOf, responseOf } from './response.ts';

/** @throws GatewayError `upstream_failed`. */
export function wholeResponse(bytes: Buffer, asked: ResponsesAsked, answering: Answering): string {
  const { requestId } = answering;
  const list = new BlockList();
  // The bytes of the answer are already charged.
  const answer = new Blocks(
    list,
    () => undefined,
    (at) => idOf('call', requestId, at),
    asked.begun,
  );
  readWhole(bytes, answer);
  answer.end();
  const ended = endedBy(answer);
  const last = list.blocks.length - 1;
  const output = list.blocks.map(({ type, id, name, text }, at) => {
    const { prefix, item } = formOf(type, asked.summarizes);
    return item(idOf(prefix, requestId, at), at === last ? ended.status : 'completed', text, id, name);
  });
  return JSON.stringify(responseOf(asked, answering, output, ended, answer.usage));
}
