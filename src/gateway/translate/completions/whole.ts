// Translates a whole message of Anthropic's API into an answer of /v1/chat/completions.
import { isFields } from '../../answer/model-error.ts';
import { textOfWhole } from '../chat/chat-events.ts';
import { parseExactly } from '../chat/exact-json.ts';
import { type Answering, malformed } from '../translation.ts';
import { callIn, chatUsage, completionId, figuresAfter, finishReasonOf, noFigures, textIn } from './answer.ts';

/** @throws GatewayError `upstream_failed`. */
export function wholeCompletion(bytes: Buffer, { model, requestId, at }: Answering): string {
  const value = parseExactly(textOfWhole(bytes));
  if (!isFields(value) || !Array.isArray(value['content'])) throw malformed('a message without content');
  const found = contentOf(value['content']);
  const message = {
    role: 'assistant',
    content: found.said === '' && found.calls.length > 0 ? null : found.said,
    refusal: null,
    ...(found.thought === '' ? {} : { reasoning_content: found.thought }),
    ...(found.calls.length === 0 ? {} : { tool_calls: found.calls }),
  };
  return JSON.stringify({
    id: completionId(requestId),
    object: 'chat.completion',
    created: Math.floor(at / 1000),
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReasonOf(value['stop_reason']) }],
    usage: chatUsage(figuresAfter(noFigures, value['usage'])),
  });
}

function contentOf(blocks: readonly unknown[]): { said: string; thought: string; calls: object[] } {
  let said = '';
  let thought = '';
  const calls: object[] = [];
  for (const block of blocks) {
    if (!isFields(block)) throw malformed('a block that is no object');
    const { type, text, thinking } = block;
    if (type === 'text') said += textIn(text);
    else if (type === 'thinking') thought += textIn(thinking);
    else if (type === 'tool_use') {
      const { id, name, input } = callIn(block);
      calls.push({ id, type: 'function', function: { name, arguments: JSON.stringify(input) } });
    }
    // Encrypted thoughts have no text; nothing else can come, since no tool of the server was offered.
    else if (type !== 'redacted_thinking') throw malformed('a block of an unknown type');
  }
  return { said, thought, calls };
}
