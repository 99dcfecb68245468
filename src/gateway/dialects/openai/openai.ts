// OpenAI's API, as model servers provide it below /v1.
import { defineDialect } from '../dialect.ts';
import { addRateLimitFields, rateLimitFields } from '../rate-limit-fields.ts';
import { plain } from '../reply.ts';
import { frames, spellError, spellMissingModel, spellModelError } from './errors.ts';
import { completion, embedding, modelList, responses, transcription } from './replies.ts';

export const openai = defineDialect(
  {
    name: 'openai',
    paths: ['/v1'],
    spellError,
    spellMissingModel,
    // Ollama's /v1 routes send no charset; a missing model must look like theirs.
    missingModelType: 'application/json',
    spellModelError,
    frames,
    headers: {
      onward: ['openai-beta'],
      ofPages: ['openai-organization', 'openai-project'],
      limits: rateLimitFields,
    },
    addLimitFields: addRateLimitFields,
  },
  [
    [
      'chat-completions',
      'POST',
      '/v1/chat/completions',
      'inference:chat',
      'json',
      'model',
      false,
      completion,
      'inference',
    ],
    ['completions', 'POST', '/v1/completions', 'inference:chat', 'json', 'model', false, completion, 'inference'],
    ['responses', 'POST', '/v1/responses', 'inference:chat', 'json', 'model', false, responses, 'inference'],
    ['openai-embeddings', 'POST', '/v1/embeddings', 'inference:embed', 'json', 'model', null, embedding, 'inference'],
    [
      'transcriptions',
      'POST',
      '/v1/audio/transcriptions',
      'inference:audio',
      'multipart',
      'form',
      null,
      transcription,
      'inference',
    ],
    ['models', 'GET', '/v1/models', 'metadata', 'none', 'none', null, modelList, 'metadata'],
    ['model', 'GET', '/v1/models/{model}', 'metadata', 'none', 'path', null, plain, 'metadata'],
  ],
);
