// Translates a whole answer of /v1/chat/completions into a message of Anthropic's API.
import { type Block, BlockList, Blocks } from '../chat/blocks.ts';
import { readWhole } from '../chat/chat-events.ts';
import { argumentsIfWhole, argumentsOf } from '../chat/tool-calls.ts';
import type { Answering } from '../translation.ts';
import { callId, messageId, messageUsage, stopReasonOf } from './ending.ts';
import type { MessagesAsked } from './request.ts';

/** @throws GatewayError `upstream_failed`. */
export function wholeMessage(bytes: Buffer, asked: MessagesAsked, { model, requestId }: Answering): string {
  const list = new BlockList();
  // The bytes of the answer are already charged.
  const answer = new Blocks(
    list,
    () => undefined,
    (at) => callId(requestId, at),
    asked.begun,
  );
  readWhole(bytes, answer);
  answer.end();
  return JSON.stringify({
    id: messageId(requestId),
    type: 'message',
    role: 'assistant',
    model,
    content: list.blocks.flatMap((block) => contentOf(block, asked.omitsThinking, answer.isCut)),
    ...stopReasonOf(answer, asked.stops),
    usage: messageUsage(answer.usage),
  });
}

function contentOf({ type, id, name, text }: Block, omitsThinking: boolean, isCut: boolean): object[] {
  switch (type) {
    case 'thought':
      return omitsThinking ? [] : [{ type: 'thinking', thinking: text, signature: '' }];
    case 'said':
    case 'refused':
      return [{ type: 'text', text, citations: null }];
    case 'call': {
      // There is no object to give for arguments that were cut off, and the reason says what happened.
      const input = isCut ? argumentsIfWhole(text) : argumentsOf(text);
      return input ? [{ type: 'tool_use', id, name, input }] : [];
    }
  }
}
