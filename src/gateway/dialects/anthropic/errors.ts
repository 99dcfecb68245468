// Errors in Anthropic's format: a typed envelope with the request id; in a stream, an `error` event.
import type { GatewayError } from '../../../domain/error.ts';
import type { ModelError } from '../../answer/model-error.ts';
import { eventFrames } from '../frames.ts';

export function spellError(error: GatewayError, requestId: string): string {
  return JSON.stringify({
    type: 'error',
    error: { type: typeOf(error.status), message: error.message, code: error.code },
    request_id: requestId,
  });
}

export function spellMissingModel(model: string, requestId: string): string {
  const error = { type: 'not_found_error', message: `model '${model}' not found` };
  return `${JSON.stringify({ type: 'error', error, request_id: requestId })}\n`;
}

export function spellModelError({ message, type }: ModelError, status: number, requestId: string): string {
  const error = { type: type ?? typeOf(status), message };
  return `${JSON.stringify({ type: 'error', error, request_id: requestId })}\n`;
}

export const frames = eventFrames('error', { spellError, spellModelError });

function typeOf(status: number): string {
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
