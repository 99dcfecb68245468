// Serves OpenAI's /v1/chat/completions from a server that has only Anthropic's /v1/messages.
import { membersOf } from '../chat/chat-request.ts';
import { parseExactly } from '../chat/exact-json.ts';
import type { Translation } from '../translation.ts';
import { messagesFromChat } from './request.ts';
import { CompletionEvents } from './stream.ts';
import { wholeCompletion } from './whole.ts';

export const completions: Translation = ({ bytes, usageInjected }) => {
  const { body, asksForUsage } = messagesFromChat(parseExactly(bytes.toString('utf8')));
  return {
    path: '/v1/messages',
    members: membersOf(body),
    whole: wholeCompletion,
    stream: (answering) => new CompletionEvents(answering, asksForUsage && !usageInjected),
  };
};
