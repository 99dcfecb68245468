// Takes out of a model list what the key may not see. What stays keeps its own bytes; a list from which nothing goes is
// the answer as it came. A list that cannot be read is not passed on: it could hold anything.
import { GatewayError } from '../domain/error.ts';
import { parseModelName } from '../domain/model-name.ts';
import type { Principal } from '../domain/principal.ts';
import type { ReplyKind } from './operation.ts';
import { type JsonValue, type Outline, ofAnswers, scanObject, splice, textOf } from './strict-json.ts';

const entry: Outline = { known: new Set() };
const outline: Outline = { known: new Set(), each: { models: entry, data: entry } };

/** @throws GatewayError where the list is not the JSON that such a list is. */
export function filterModels(reply: ReplyKind, bytes: Buffer, principal: Principal): Buffer {
  const list = scanObject(bytes, outline, ofAnswers).members.get(reply === 'openai-models' ? 'data' : 'models');
  // Ollama's /v1/models says `null` where it has no models at all.
  if (list === undefined || list.kind === 'null') return bytes;
  if (!list.items) throw new GatewayError('upstream_failed');
  const kept = list.items.filter((item) => maySee(bytes, item, principal));
  if (kept.length === list.items.length) return bytes;
  const text = kept.map((item) => bytes.toString('utf8', item.start, item.end)).join(',');
  return splice(bytes, [{ start: list.start, end: list.end, text: `[${text}]` }]);
}

function maySee(bytes: Buffer, item: JsonValue, principal: Principal): boolean {
  const name = ['name', 'model', 'id']
    .map((field) => item.members?.get(field))
    .find((value) => value?.kind === 'string');
  const model = name && parseModelName(textOf(bytes, name));
  if (!model || !principal.models.allow(model)) return false;
  const remote = model.cloud || isSet(bytes, item, 'remote_host') || isSet(bytes, item, 'remote_model');
  return !remote || principal.scopes.has('cloud');
}

function isSet(bytes: Buffer, item: JsonValue, field: string): boolean {
  const value = item.members?.get(field);
  return value !== undefined && value.kind !== 'null' && !(value.kind === 'string' && textOf(bytes, value) === '');
}
