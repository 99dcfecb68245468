// The list of translations, by the path that the caller uses. Each stands for a whole operation: its requests, answers,
// streams and refusals.
import { completions } from './completions/completions.ts';
import { countTokens } from './messages/count.ts';
import { messages } from './messages/messages.ts';
import { chat } from './ollama/chat.ts';
import { embed, embeddings } from './ollama/embed.ts';
import { generate } from './ollama/generate.ts';
import { show, version } from './ollama/show.ts';
import { responses } from './responses/responses.ts';
import type { Translation } from './translation.ts';

/**
 * Routes that servers got in later versions, or that only some of a kind have: a server can be found to lack one by its answer.
 * The others are those by which kinds are known.
 */
export const laterRoutes: ReadonlySet<string> = new Set(['/v1/messages', '/v1/messages/count_tokens', '/v1/responses']);

export const translations: ReadonlyMap<string, Translation> = new Map([
  ['/api/chat', chat],
  ['/api/generate', generate],
  ['/api/embed', embed],
  ['/api/embeddings', embeddings],
  ['/api/show', show],
  ['/api/version', version],
  ['/v1/chat/completions', completions],
  ['/v1/messages', messages],
  ['/v1/messages/count_tokens', countTokens],
  ['/v1/responses', responses],
]);
