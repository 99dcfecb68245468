// Serves OpenAI's /v1/responses from a server that has only /v1/chat/completions.
import { membersOf } from '../chat/chat-request.ts';
import { parseExactly } from '../chat/exact-json.ts';
import type { Translation } from '../translation.ts';
import { chatFromResponses } from './request.ts';
import { ResponseEvents } from './stream.ts';
import { wholeResponse } from './whole.ts';

export const responses: Translation = ({ bytes }, { takes }) => {
  const { body, asked, nameOf } = chatFromResponses(parseExactly(bytes.toString('utf8')), takes);
  return {
    path: '/v1/chat/completions',
    members: membersOf(body),
    nameOf,
    whole: (answer, answering) => wholeResponse(answer, asked, answering),
    stream: (answering) => new ResponseEvents(asked, answering),
  };
};
