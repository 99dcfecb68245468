// Errors in Ollama's format: `{"error": "<string>"}`, always a string (ollama-js prints [object Object] for anything
// else), and one JSON object per line in a stream.
import type { GatewayError } from '../../../domain/error.ts';
import type { ModelError } from '../../answer/model-error.ts';

export function spellError(error: GatewayError, requestId: string): string {
  const said = { error: error.message, code: error.code, request_id: requestId };
  // For a 401, the `ollama` command prints only `status` (api/types.go, AuthorizationError).
  return JSON.stringify(error.status === 401 ? { ...said, status: error.message } : said);
}

/** Ollama's answer for a missing model; a hidden model gets the same bytes. */
export function spellMissingModel(model: string): string {
  return JSON.stringify({ error: `model '${model}' not found` });
}

export function spellModelError({ message }: ModelError): string {
  return JSON.stringify({ error: message });
}
