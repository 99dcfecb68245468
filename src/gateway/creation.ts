// Checks what the creation of a model contains besides names: parameters, which apply to every later call of the model,
// and blobs by digest, which are model weights of their uploader. Parameters are limited by the plan like the options
// of a call; authorize.ts checks who uploaded the blobs.
import { GatewayError } from '../domain/error.ts';
import type { Terms } from '../domain/plan.ts';
import { given, remove, replace, type Work, wholeNumber } from './payload/body-edits.ts';
import { type JsonBody, textOf } from './payload/strict-json.ts';

const blobFields = ['files', 'adapters', 'draft_files'];

/** Normalises a digest; undefined if it is none. Ollama accepts both separators, and hex digits in either case. */
export function readDigest(text: string): string | undefined {
  const hex = /^sha256[:-]([0-9a-f]{64})$/i.exec(text)?.[1];
  return hex && `sha256:${hex.toLowerCase()}`;
}

/**
 * Before 0.5.5, Ollama created models from the text of a Modelfile (`modelfile`), or from one in its file system
 * (`path`). Such a text names models, blobs and parameters in its own language, which the rules about fields do not
 * cover.
 * @throws GatewayError `invalid_request`.
 */
export function refuseModelfile(body: JsonBody): void {
  for (const name of ['modelfile', 'path'])
    if (given(body.members, name))
      throw new GatewayError('invalid_request', {
        message: `${name} is not supported: send from, files, adapters and parameters`,
      });
}

/** Every blob that a creation names. @throws GatewayError `invalid_request` for invalid digests (CVE-2024-37032). */
export function readDigests(body: JsonBody, bytes: Buffer): string[] {
  return blobFields.flatMap((field) => {
    const files = given(body.members, field);
    if (!files) return [];
    const digests = Array.from(files.members?.values() ?? [undefined], (value) =>
      // A digest has 71 characters, or six times as many when escaped.
      value?.kind === 'string' && value.end - value.start < 500 ? readDigest(textOf(bytes, value)) : undefined,
    );
    if (digests.includes(undefined))
      throw new GatewayError('invalid_request', { message: `${field} must name files by their sha256 digests` });
    return digests as string[];
  });
}

/** `reload`: options that make a server reload the model. */
export function boundParameters(work: Work, bounds: Terms, reload: readonly string[]): void {
  const parameters = work.document.members.get('parameters')?.members;
  if (!parameters) return;
  if (bounds.reloadOptions === 'strip')
    for (const name of reload) remove(work, parameters.get(name), `parameters.${name}`);
  const context = given(parameters, 'num_ctx');
  if (bounds.maxContextTokens === 0) remove(work, context, 'parameters.num_ctx');
  else if (context) atMost('num_ctx', bounds.maxContextTokens);
  // A negative value means "until the context is full", and so does zero for some runners.
  if (bounds.maxOutputTokens !== null) atMost('num_predict', Math.max(1, bounds.maxOutputTokens), 1);

  function atMost(name: string, most: number | null, least = -Infinity): void {
    const value = given(parameters, name);
    if (!value || most === null) return;
    const asked = wholeNumber(work, value, `parameters.${name}`);
    if (asked > most || asked < least) replace(work, value, `parameters.${name}`, most);
  }
}
