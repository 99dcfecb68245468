// Reads which models a JSON body names, in every place where operations of the dialects name them.
import { GatewayError } from '../domain/error.ts';
import { mostNameBytes } from '../domain/model-name.ts';
import { refuseModelfile } from './creation.ts';
import type { Meanings, NamedModel } from './model-names.ts';
import { given } from './payload/body-edits.ts';
import { type JsonBody, textOf } from './payload/strict-json.ts';
import type { Prechecked } from './precheck.ts';

export function readModels(
  { operation, caller }: Prechecked,
  bytes: Buffer,
  body: JsonBody,
  names: Meanings,
): { models: readonly NamedModel[]; registryModels: readonly NamedModel[] } {
  const named = (text: string): NamedModel => names.meant(text, operation, caller.principal);
  switch (operation.model) {
    case 'none':
    case 'path':
    case 'form':
      return { models: [], registryModels: [] };
    case 'model':
      return { models: [named(requiredText(body, bytes, 'model'))], registryModels: [] };
    case 'copy': {
      const source = named(requiredText(body, bytes, 'source'));
      const destination = named(requiredText(body, bytes, 'destination'));
      return { models: [source, destination], registryModels: [] };
    }
    case 'model-or-name':
      return { models: [named(modelOrName(body, bytes))], registryModels: [] };
    case 'registry': {
      const model = named(modelOrName(body, bytes));
      return { models: [model], registryModels: [model] };
    }
    case 'create': {
      refuseModelfile(body);
      // Ollama downloads `from` if it does not have it.
      const from = optionalText(body, bytes, 'from');
      const base = from === undefined ? [] : [named(from)];
      return { models: [named(modelOrName(body, bytes)), ...base], registryModels: base };
    }
  }
}

/** `name` is the older spelling of `model`; if both are present Ollama takes `model`, so both must agree. */
function modelOrName(body: JsonBody, bytes: Buffer): string {
  const model = optionalText(body, bytes, 'model');
  const name = optionalText(body, bytes, 'name');
  if (model !== undefined && name !== undefined && model !== name) {
    throw new GatewayError('ambiguous_json', { message: '"model" and "name" disagree.' });
  }
  return model ?? name ?? requiredText(body, bytes, 'model');
}

function requiredText(body: JsonBody, bytes: Buffer, field: string): string {
  const text = optionalText(body, bytes, field);
  if (text === undefined) throw new GatewayError('invalid_request', { message: `${field} is required` });
  return text;
}

/** An absent, null or empty field is undefined; anything but a string, or a string longer than any name, is refused. */
export function optionalText(body: JsonBody, bytes: Buffer, field: string): string | undefined {
  const value = given(body.members, field);
  if (value === undefined) return undefined;
  if (value.kind !== 'string') throw new GatewayError('invalid_request', { message: `${field} must be a string` });
  // An escape has six bytes per character; anything longer is not decoded.
  if (value.end - value.start > 6 * mostNameBytes + 2) throw tooLong(field);
  const text = bounded(field, textOf(bytes, value));
  return text === '' ? undefined : text;
}

/** @throws GatewayError if a text is longer than any name. */
export function bounded(field: string, text: string): string {
  if (text.length > mostNameBytes || Buffer.byteLength(text) > mostNameBytes) throw tooLong(field);
  return text;
}

const tooLong = (field: string): GatewayError =>
  new GatewayError('invalid_request', { message: `${field} is longer than ${mostNameBytes} bytes` });
