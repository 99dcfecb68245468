// Ollama's own API: the routes of its server (ollama-api §1). Routes of newer versions are refused until they have a
// row here.
import { defineDialect } from '../dialect.ts';
import { lineFrames } from '../frames.ts';
import { plain } from '../reply.ts';
import { spellError, spellMissingModel, spellModelError } from './errors.ts';
import { embedding, generation, loadedList, modelList, progress } from './replies.ts';

export const ollama = defineDialect(
  {
    name: 'ollama',
    paths: ['/api'],
    spellError,
    spellMissingModel,
    missingModelType: 'application/json; charset=utf-8',
    spellModelError,
    frames: lineFrames({ spellError, spellModelError }),
    headers: { onward: [], ofPages: [], limits: [] },
    addLimitFields: undefined,
  },
  [
    ['version', 'GET HEAD', '/api/version', 'metadata', 'none', 'none', null, plain, 'metadata'],
    ['tags', 'GET HEAD', '/api/tags', 'metadata', 'none', 'none', null, modelList, 'metadata'],
    ['ps', 'GET', '/api/ps', 'metadata', 'none', 'none', null, loadedList, 'metadata'],
    ['show', 'POST', '/api/show', 'metadata', 'json', 'model-or-name', null, plain, 'metadata'],
    ['generate', 'POST', '/api/generate', 'inference:chat', 'json', 'model', true, generation, 'inference'],
    ['chat', 'POST', '/api/chat', 'inference:chat', 'json', 'model', true, generation, 'inference'],
    ['embed', 'POST', '/api/embed', 'inference:embed', 'json', 'model', null, embedding, 'inference'],
    ['embeddings', 'POST', '/api/embeddings', 'inference:embed', 'json', 'model', null, embedding, 'inference'],
    ['pull', 'POST', '/api/pull', 'models:pull', 'json', 'registry', true, progress, 'transfer'],
    ['push', 'POST', '/api/push', 'models:push', 'json', 'registry', true, progress, 'transfer'],
    ['create', 'POST', '/api/create', 'models:create', 'json', 'create', true, progress, 'transfer'],
    ['copy', 'POST', '/api/copy', 'models:copy', 'json', 'copy', null, plain, 'transfer'],
    ['delete', 'DELETE', '/api/delete', 'models:delete', 'json', 'model-or-name', null, plain, 'metadata'],
    ['blob-check', 'HEAD', '/api/blobs/{digest}', 'models:create', 'none', 'none', null, plain, 'metadata'],
    ['blob-upload', 'POST', '/api/blobs/{digest}', 'models:create', 'blob', 'none', null, plain, 'transfer'],
    ['status', 'GET', '/api/status', 'account', 'none', 'none', null, plain, 'metadata'],
    ['me', 'POST', '/api/me', 'account', 'none', 'none', null, plain, 'metadata'],
    ['signout', 'POST', '/api/signout', 'account', 'none', 'none', null, plain, 'metadata'],
    ['key-delete', 'DELETE', '/api/user/keys/{key}', 'account', 'none', 'none', null, plain, 'metadata'],
    ['web-search', 'POST', '/api/experimental/web_search', 'cloud', 'json', 'none', null, plain, 'inference'],
    ['web-fetch', 'POST', '/api/experimental/web_fetch', 'cloud', 'json', 'none', null, plain, 'inference'],
    [
      'recommendations',
      'GET',
      '/api/experimental/model-recommendations',
      'models:pull',
      'none',
      'none',
      null,
      plain,
      'metadata',
    ],
  ],
);
