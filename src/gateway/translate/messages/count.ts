// Serves Anthropic's /v1/messages/count_tokens from a server that renders and tokenizes a chat, as vLLM does at /tokenize
// (vllm/entrypoints/serve/tokenize/protocol.py).
import { isFields, parse } from '../../answer/model-error.ts';
import { membersOf } from '../chat/chat-request.ts';
import { parseExactly } from '../chat/exact-json.ts';
import { malformed, type Translation } from '../translation.ts';
import { chatFromMessages } from './request.ts';

/** Members of a chat that its prompt depends on. */
const ofPrompt = ['messages', 'tools', 'chat_template_kwargs', 'continue_final_message', 'add_generation_prompt'];

export const countTokens: Translation = ({ bytes }, { takes }) => {
  const value = parseExactly(bytes.toString('utf8'));
  // The same call without a length, which no prompt depends on.
  const { body } = chatFromMessages(isFields(value) ? { ...value, max_tokens: 1 } : value, takes);
  return {
    path: '/tokenize',
    members: membersOf(Object.fromEntries(Object.entries(body).filter(([name]) => ofPrompt.includes(name)))),
    whole: writeCount,
    stream: undefined,
  };
};

function writeCount(bytes: Buffer): string {
  const value = parse(bytes.toString('utf8'));
  const count = isFields(value) ? value['count'] : undefined;
  if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 0) throw malformed('no count');
  return JSON.stringify({ input_tokens: count });
}
