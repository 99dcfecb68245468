// What the creation of a model asks for beside names: parameters, which every later call of that model runs with, and
// blobs by their digests, which are the weights of somebody's model. Parameters are held to the plan as the options of a
// call are; whose the blobs are is asked in authorize.ts.
import { GatewayError } from '../domain/error.ts';
import type { Terms } from '../domain/plan.ts';
import { given, remove, replace, type Work, wholeNumber } from './payload/body-edits.ts';
import { type JsonBody, textOf } from './payload/strict-json.ts';

const blobFields = ['files', 'adapters', 'draft_files'];

/** In one spelling; undefined where it is none. Ollama reads both separators, and digits in either case. */
export function readDigest(text: string): string | undefined {
  const hex = /^sha256[:-]([0-9a-f]{64})$/i.exec(text)?.[1];
  return hex && `sha256:${hex.toLowerCase()}`;
}

/**
 * Before 0.5.5 Ollama made a model from the text of a Modelfile (`modelfile`), or from one in its own file system (`path`).
 * Such a text names models, blobs and parameters in a language of its own, past every rule about the fields.
 * @throws GatewayError `invalid_request`.
 */
export function refuseModelfile(body: JsonBody): void {
  for (const name of ['modelfile', 'path'])
    if (given(body.members, name))
      throw new GatewayError('invalid_request', {
        message: `${name} is no longer read: send from, files, adapters and parameters`,
      });
}

/** Every blob that a creation names. @throws GatewayError `invalid_request` for what is no digest (CVE-2024-37032). */
export function readDigests(body: JsonBody, bytes: Buffer): string[] {
  return blobFields.flatMap((field) => {
    const files = given(body.members, field);
    if (!files) return [];
    const digests = Array.from(files.members?.values() ?? [undefined], (value) =>
      // A digest has 71 characters; in escapes six times as many.
      value?.kind === 'string' && value.end - value.start < 500 ? readDigest(textOf(bytes, value)) : undefined,
    );
    if (digests.includes(undefined))
      throw new GatewayError('invalid_request', { message: `${field} must name files by their sha256 digests` });
    return digests as string[];
  });
}

/** `reload`: options that make a server load the model again. */
export function boundParameters(work: Work, bounds: Terms, reload: readonly string[]): void {
  const parameters = work.document.members.get('parameters')?.members;
  if (!parameters) return;
  if (bounds.reloadOptions === 'strip')
    for (const name of reload) remove(work, parameters.get(name), `parameters.${name}`);
  const context = given(parameters, 'num_ctx');
  if (bounds.maxContextTokens === 0) remove(work, context, 'parameters.num_ctx');
  else if (context) atMost('num_ctx', bounds.maxContextTokens);
  // Below zero is "until the context is full", and zero is that to some runners.
  if (bounds.maxOutputTokens !== null) atMost('num_predict', Math.max(1, bounds.maxOutputTokens), 1);

  function atMost(name: string, most: number | null, least = -Infinity): void {
    const value = given(parameters, name);
    if (!value || most === null) return;
    const asked = wholeNumber(work, value, `parameters.${name}`);
    if (asked > most || asked < least) replace(work, value, `parameters.${name}`, most);
  }
}
