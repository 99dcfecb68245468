// Anthropic's API: messages, below /v1/messages.
import { defineDialect } from '../dialect.ts';
import { frames, spellError, spellMissingModel, spellModelError } from './errors.ts';
import { addLimitFields, headers } from './headers.ts';
import { count, message } from './replies.ts';

export const anthropic = defineDialect(
  {
    name: 'anthropic',
    paths: ['/v1/messages'],
    spellError,
    spellMissingModel,
    // Ollama's /v1 routes send no charset; a missing model must look like theirs.
    missingModelType: 'application/json',
    spellModelError,
    frames,
    headers,
    addLimitFields,
  },
  [
    ['messages', 'POST', '/v1/messages', 'inference:chat', 'json', 'model', false, message, 'inference'],
    ['count-tokens', 'POST', '/v1/messages/count_tokens', 'inference:chat', 'json', 'model', null, count, 'metadata'],
  ],
);
