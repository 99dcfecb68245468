// Serves Anthropic's /v1/messages from a server that has only /v1/chat/completions.
import { membersOf } from '../chat/chat-request.ts';
import { parseExactly } from '../chat/exact-json.ts';
import type { Translation } from '../translation.ts';
import { chatFromMessages } from './request.ts';
import { MessageEvents } from './stream.ts';
import { wholeMessage } from './whole.ts';

export const messages: Translation = ({ bytes }, { takes }) => {
  const { body, asked } = chatFromMessages(parseExactly(bytes.toString('utf8')), takes);
  return {
    path: '/v1/chat/completions',
    members: membersOf(body),
    whole: (answer, answering) => wholeMessage(answer, asked, answering),
    stream: (answering) => new MessageEvents(asked, answering),
  };
};
