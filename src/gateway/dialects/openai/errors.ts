// Errors in OpenAI's format: an `error` object with message, type, param and code; in a stream, one `data:` event with
// it. The official SDKs throw on that event; they would take a clean end without [DONE] for an answer.
import type { GatewayError } from '../../../domain/error.ts';
import type { ModelError } from '../../answer/model-error.ts';
import { eventFrames } from '../frames.ts';

export function spellError(error: GatewayError, requestId: string): string {
  return JSON.stringify({
    error: {
      message: error.message,
      type: typeOf(error.status),
      param: null,
      code: error.code,
      request_id: requestId,
    },
  });
}

/** Like Ollama's /v1 routes, with the line feed. */
export function spellMissingModel(model: string): string {
  const error = { message: `model '${model}' not found`, type: 'not_found_error', param: null, code: null };
  return `${JSON.stringify({ error })}\n`;
}

export function spellModelError({ message, type, code, param }: ModelError, status: number): string {
  const inner = { message, type: type ?? typeOf(status), param: param ?? null, code: code ?? null };
  return `${JSON.stringify({ error: inner })}\n`;
}

export const frames = eventFrames(undefined, { spellError, spellModelError });

/** The Responses API names its events; its error event is flat. */
export const responsesFrames = eventFrames('error', {
  spellError: ({ code, message }, requestId) =>
    JSON.stringify({ type: 'error', code, message, param: null, request_id: requestId }),
  spellModelError: ({ code, message, param }, _, requestId) =>
    JSON.stringify({ type: 'error', code: code ?? null, message, param: param ?? null, request_id: requestId }),
});

/** Ollama's mapping for 400 and 404 (openai/openai.go NewError), and OpenAI's types for the rest. */
function typeOf(status: number): string {
  switch (status) {
    case 401:
      return 'authentication_error';
    case 403:
      return 'permission_error';
    case 404:
      return 'not_found_error';
    case 429:
      return 'rate_limit_error';
    default:
      return status < 500 ? 'invalid_request_error' : 'api_error';
  }
}
