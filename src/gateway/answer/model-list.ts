// Removes from a model list what the key may not see. The remaining entries keep their bytes, in a rebuilt answer: next
// to the list, a server may name its models again, as llama-server does on /v1/models in Ollama's format. An unreadable
// list is not relayed, because it could contain anything.
import { GatewayError } from '../../domain/error.ts';
import { type ModelName, parseModelName } from '../../domain/model-name.ts';
import type { Principal } from '../../domain/principal.ts';
import { mostListed } from '../../upstream/json-route.ts';
import type { Fields } from '../../upstream/kind.ts';
import type { ModelList } from '../dialects/reply.ts';
import { fold, type Most, type Outline, scanObject, textOf } from '../payload/strict-json.ts';

const entry: Outline = { known: new Set() };
const outline: Outline = { known: new Set(), each: { models: entry, data: entry } };
/** Limits of one list; a longer one is not plausible, and parsing it would block the event loop. */
const most: Most = { values: 1_000_000, kept: 500_000, opened: mostListed };

/** @throws GatewayError if the JSON is not such a list. */
export function filterModels(list: ModelList, bytes: Buffer, principal: Principal): Buffer {
  const { members: answer } = scanObject(bytes, outline, most);
  const value = answer.get(list.member);
  let hasOthers = false;
  for (const member of answer.keys()) if (member !== list.member && member !== 'object') hasOthers = true;
  // Ollama's /v1/models sends `null` if there are no models.
  if (value === undefined || value.kind === 'null') return hasOthers ? Buffer.from(list.write('')) : bytes;
  if (!value.items || value.items.length > mostListed) throw new GatewayError('upstream_failed');
  const kept = value.items.filter(
    ({ members }) =>
      members !== undefined &&
      maySee(
        (field) => {
          const found = members.get(field);
          return found?.kind === 'string' ? textOf(bytes, found) : found && found.kind !== 'null';
        },
        list,
        principal,
        (model) => principal.models.allow(model),
      ),
  );
  if (kept.length === value.items.length && !hasOthers) return bytes;
  return Buffer.from(list.write(kept.map((item) => bytes.toString('utf8', item.start, item.end)).join(',')));
}

const readByPolicy = new Set(['name', 'model', 'id', 'remote_host', 'remote_model']);

/** Checks a parsed entry. One with a field that Go would read as another is hidden. */
export function maySeeEntry(
  fields: Fields,
  list: ModelList,
  principal: Principal,
  allows: (model: ModelName) => boolean = (model) => principal.models.allow(model),
): boolean {
  for (const name in fields) if (!readByPolicy.has(name) && readByPolicy.has(fold(name))) return false;
  return maySee((field) => fields[field], list, principal, allows);
}

/** The entry of a model under another name. */
export function renamedEntry(fields: Fields, { nameFields }: ModelList, name: string): Fields {
  const names = nameFields.filter((field) => typeof fields[field] === 'string').map((field) => [field, name]);
  return { ...fields, ...Object.fromEntries(names) };
}

/** `of` returns the text of a string field, and for others whether the field is present. */
function maySee(
  of: (field: string) => unknown,
  { nameFields }: ModelList,
  principal: Principal,
  allows: (model: ModelName) => boolean,
): boolean {
  let remote = Boolean(of('remote_host')) || Boolean(of('remote_model'));
  let isNamed = false;
  for (const field of nameFields) {
    const text = of(field);
    if (typeof text !== 'string') continue;
    const model = parseModelName(text);
    if (!model || !allows(model)) return false;
    isNamed = true;
    remote ||= model.cloud;
  }
  return isNamed && (!remote || principal.scopes.has('cloud'));
}
