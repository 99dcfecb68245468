// How OpenAI's API spells failures: an `error` object with message, type, param and code; in a stream one `data:`
// event holding it. The official SDKs throw on that event; a clean end without [DONE] they would take for an answer.
import type { GatewayError } from '../../../domain/error.ts';

export function spellError(error: GatewayError, requestId: string): string {
  return JSON.stringify({
    error: {
      message: error.message,
      type: openaiType(error.status),
      param: null,
      code: error.code,
      request_id: requestId,
    },
  });
}

export function lastFrame(error: GatewayError, requestId: string, midEvent: boolean): string {
  return `${midEvent ? '\n\n' : ''}data: ${spellError(error, requestId)}\n\n`;
}

/** The Responses API names its events; its error event is flat. */
export function lastResponsesFrame(error: GatewayError, requestId: string, midEvent: boolean): string {
  const event = { type: 'error', code: error.code, message: error.message, param: null, request_id: requestId };
  return `${midEvent ? '\n\n' : ''}event: error\ndata: ${JSON.stringify(event)}\n\n`;
}

/** As Ollama's /v1 routes say it, with the line feed. */
export function spellMissingModel(model: string): string {
  const error = { message: `model '${model}' not found`, type: 'not_found_error', param: null, code: null };
  return `${JSON.stringify({ error })}\n`;
}

/** Ollama's own mapping for 400 and 404 (openai/openai.go NewError), and OpenAI's words for the rest. */
export function openaiType(status: number): string {
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
