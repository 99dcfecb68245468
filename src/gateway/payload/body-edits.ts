// The changes that a plan makes to a body: each is an edit of the original bytes and an entry for X-Sekisho-Changed.
// apply-plan.ts and its neighbours decide whether to change anything.
import { GatewayError } from '../../domain/error.ts';
import type { Edit, JsonBody, JsonValue } from './strict-json.ts';

/** A body while a plan is applied to it. */
export interface Work {
  readonly bytes: Buffer;
  readonly document: JsonBody;
  readonly edits: Edit[];
  readonly changes: string[];
}

/** A member with a value: every server treats `null` like an absent field. */
export function given(members: JsonValue['members'], name: string): JsonValue | undefined {
  const value = members?.get(name);
  return value?.kind === 'null' ? undefined : value;
}

/** @throws GatewayError `invalid_request` unless the value is a whole number. */
export function wholeNumber({ bytes }: Work, value: JsonValue, name: string): number {
  const number = value.kind === 'number' ? Number(bytes.toString('latin1', value.start, value.end)) : Number.NaN;
  // Ollama would truncate a fraction, and 0.5 would become 0 ("no limit").
  if (!Number.isInteger(number))
    throw new GatewayError('invalid_request', { message: `${name} must be a whole number` });
  return number;
}

export function replace({ edits, changes }: Work, value: JsonValue, name: string, figure: number): void {
  edits.push({ start: value.start, end: value.end, text: String(figure) });
  changes.push(`${name}=${figure}`);
}

/** Replaces the texts of these members, where they are given. It is no change by the plan, so nothing is reported. */
export function replaceName({ document, edits }: Work, names: readonly string[], text: string): void {
  for (const name of names) {
    const value = given(document.members, name);
    if (value) edits.push({ start: value.start, end: value.end, text: JSON.stringify(text) });
  }
}

/** Replacing by `null` keeps the surrounding commas valid. */
export function remove({ edits, changes }: Work, value: JsonValue | undefined, name: string): void {
  if (!value || value.kind === 'null') return;
  edits.push({ start: value.start, end: value.end, text: 'null' });
  changes.push(`${name} removed`);
}

/** Sets a member that is absent or `null`. */
export function add(
  { document, edits, changes }: Work,
  path: 'options' | undefined,
  name: string,
  figure: number,
): void {
  const text = `"${name}":${figure}`;
  changes.push(`${path ? `${path}.` : ''}${name}=${figure}`);
  const object = path === undefined ? document : document.members.get(path);
  const value = object?.members?.get(name);
  if (value) edits.push({ start: value.start, end: value.end, text: String(figure) });
  else if (object?.members) edits.push(lastMember(object, text));
  else if (object) edits.push({ start: object.start, end: object.end, text: `{${text}}` });
  else edits.push(lastMember(document, `"${path}":{${text}}`));
}

function lastMember(object: JsonValue, text: string): Edit {
  const comma = object.members && object.members.size > 0 ? ',' : '';
  return { start: object.end - 1, end: object.end - 1, text: comma + text };
}
