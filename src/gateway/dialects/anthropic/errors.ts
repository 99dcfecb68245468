// How Anthropic's API spells failures: a typed envelope with the request id beside it; in a stream an `error` event.
import type { GatewayError } from '../../../domain/error.ts';

export function spellError(error: GatewayError, requestId: string): string {
  return JSON.stringify({
    type: 'error',
    error: { type: anthropicType(error.status), message: error.message, code: error.code },
    request_id: requestId,
  });
}

export function lastFrame(error: GatewayError, requestId: string, midEvent: boolean): string {
  return `${midEvent ? '\n\n' : ''}event: error\ndata: ${spellError(error, requestId)}\n\n`;
}

export function spellMissingModel(model: string, requestId: string): string {
  const error = { type: 'not_found_error', message: `model '${model}' not found` };
  return `${JSON.stringify({ type: 'error', error, request_id: requestId })}\n`;
}

export function anthropicType(status: number): string {
  switch (status) {
    case 401:
      return 'authentication_error';
    case 403:
      return 'permission_error';
    case 404:
      return 'not_found_error';
    case 413:
      return 'request_too_large';
    case 429:
      return 'rate_limit_error';
    case 503:
      return 'overloaded_error';
    default:
      return status < 500 ? 'invalid_request_error' : 'api_error';
  }
}
