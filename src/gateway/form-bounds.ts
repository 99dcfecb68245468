// Applies a plan to a form: the fields that servers such as vLLM read as the length of a transcription, and as the
// number of transcriptions of a recording, are limited like those of a JSON body. Nothing is added: a transcription
// ends with its recording, and strict servers refuse unknown fields.
import { GatewayError } from '../domain/error.ts';
import type { Terms } from '../domain/plan.ts';
import { choiceNames, lengthNames } from './answer-length.ts';
import type { Part } from './payload/multipart.ts';

export interface BoundForm {
  readonly parts: readonly Part[];
  /** For a response header. */
  readonly changes: readonly string[];
}

const none: readonly never[] = [];

/** @throws GatewayError `beyond_plan`, `invalid_request`. */
export function boundForm(parts: readonly Part[], bounds: Terms | undefined): BoundForm {
  const most = bounds?.maxOutputTokens ?? null;
  if (most === null) return { parts, changes: none };
  let choices = 1;
  for (const part of parts) if (isOf(choiceNames, part)) choices = Math.max(choices, wholeNumber(part, 1));
  if (choices > Math.max(1, most))
    throw new GatewayError('beyond_plan', {
      message: `The call asks for ${choices} answers at once; the plan of this key allows ${most}.`,
    });
  // Some servers would read 0 as "no limit".
  const each = Math.max(1, Math.floor(most / choices));
  const changes: string[] = [];
  const bound = parts.map((part) => {
    if (!isOf(lengthNames, part)) return part;
    const asked = wholeNumber(part, -Infinity);
    if (asked >= 1 && asked <= each) return part;
    changes.push(`${part.name}=${each}`);
    return { ...part, value: Buffer.from(String(each)) };
  });
  return { parts: bound, changes };
}

const isOf = (names: readonly string[], { name }: Part): boolean => names.includes(name);

function wholeNumber({ name, value, filename }: Part, least: number): number {
  const text = value.length <= 20 && filename === undefined ? value.toString('latin1') : '';
  const figure = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(figure >= least)) throw new GatewayError('invalid_request', { message: `${name} must be a whole number` });
  return figure;
}
