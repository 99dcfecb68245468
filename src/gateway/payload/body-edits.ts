// How a plan changes a body: each change is an edit of the original bytes and a word for X-Sekisho-Changed. Whether to
// change anything is decided in apply-plan.ts and beside it.
import { GatewayError } from '../../domain/error.ts';
import type { Edit, JsonBody, JsonValue } from './strict-json.ts';

/** A body that is being held against a plan. */
export interface Work {
  readonly bytes: Buffer;
  readonly document: JsonBody;
  readonly edits: Edit[];
  readonly changes: string[];
}

/** A member that says something: `null` is to every server as if the field were not there. */
export function given(members: JsonValue['members'], name: string): JsonValue | undefined {
  const value = members?.get(name);
  return value?.kind === 'null' ? undefined : value;
}

/** @throws GatewayError `invalid_request` for anything but a whole number. */
export function wholeNumber({ bytes }: Work, value: JsonValue, name: string): number {
  const number = value.kind === 'number' ? Number(bytes.toString('latin1', value.start, value.end)) : Number.NaN;
  // Ollama would cut a fraction off, and 0.5 would become "without end".
  if (!Number.isInteger(number))
    throw new GatewayError('invalid_request', { message: `${name} must be a whole number` });
  return number;
}

export function replace({ edits, changes }: Work, value: JsonValue, name: string, figure: number): void {
  edits.push({ start: value.start, end: value.end, text: String(figure) });
  changes.push(`${name}=${figure}`);
}

/** `null` leaves the commas around it alone. */
export function remove({ edits, changes }: Work, value: JsonValue | undefined, name: string): void {
  if (!value || value.kind === 'null') return;
  edits.push({ start: value.start, end: value.end, text: 'null' });
  changes.push(`${name} removed`);
}

/** Sets a member that is not there, or is `null`. */
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
