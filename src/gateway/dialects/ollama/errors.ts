// How Ollama's own API spells failures: `{"error": "<string>"}`, always a string (ollama-js prints [object Object]
// for anything else), one JSON object a line in a stream.
import type { GatewayError } from '../../../domain/error.ts';
import type { ModelError } from '../../answer/model-error.ts';

export function spellError(error: GatewayError, requestId: string): string {
  const said = { error: error.message, code: error.code, request_id: requestId };
  // Of a 401 the `ollama` command prints `status` and nothing else (api/types.go, AuthorizationError).
  return JSON.stringify(error.status === 401 ? { ...said, status: error.message } : said);
}

/** What Ollama says of a model it does not have; a model that is hidden from the caller gets the same bytes. */
export function spellMissingModel(model: string): string {
  return JSON.stringify({ error: `model '${model}' not found` });
}

export function spellModelError({ message }: ModelError): string {
  return JSON.stringify({ error: message });
}
