// Applies a plan to a form: the fields that servers such as vLLM read as the length of a transcription, and as the
// number of transcriptions of a recording, are limited like those of a JSON body, and the same fields are left out. Nothing
// is added: a transcription ends with its recording, and strict servers refuse unknown fields.
import { GatewayError } from '../domain/error.ts';
import type { Terms } from '../domain/plan.ts';
import { detail } from '../domain/refusal-details.ts';
import { bodyFields } from '../upstream/kinds.ts';
import { choiceNames, lengthNames } from './answer-length.ts';
import type { Part } from './payload/multipart.ts';

export interface BoundForm {
  readonly parts: readonly Part[];
  /** For a response header. */
  readonly changes: readonly string[];
}

const { reloads, shared, templates, templateArguments, debug } = bodyFields;

const none: readonly never[] = [];

/** @throws GatewayError `beyond_plan`, `invalid_request`. */
export function boundForm(parts: readonly Part[], bounds: Terms | undefined): BoundForm {
  if (!bounds) return { parts, changes: none };
  const changes: string[] = [];
  const kept = withoutFields(parts, bounds, changes);
  const most = bounds.maxOutputTokens;
  if (most === null) return { parts: kept, changes };
  let choices = 1;
  for (const part of kept) if (isOf(choiceNames, part)) choices = Math.max(choices, wholeNumber(part, 1));
  if (choices > Math.max(1, most))
    throw new GatewayError('beyond_plan', {
      message: detail('too_many_answers', { count: choices, most }),
      figures: { needed: choices, most },
    });
  // Some servers would read 0 as "no limit".
  const each = Math.max(1, Math.floor(most / choices));
  const bound = kept.map((part) => {
    if (!isOf(lengthNames, part)) return part;
    const asked = wholeNumber(part, -Infinity);
    if (asked >= 1 && asked <= each) return part;
    changes.push(`${part.name}=${each}`);
    return { ...part, value: Buffer.from(String(each)) };
  });
  return { parts: bound, changes };
}

/** Leaves out the fields that the plan removes from JSON bodies. */
function withoutFields(parts: readonly Part[], bounds: Terms, changes: string[]): readonly Part[] {
  const stripped = [
    ...(bounds.reloadOptions === 'strip' ? [...reloads, ...shared] : none),
    ...(bounds.templates === 'strip' ? [...templates, ...templateArguments] : none),
    ...(bounds.debugFields === 'strip' ? debug : none),
  ];
  const kept = parts.filter(({ name }) => {
    // A form writes an object or a list as `name[inner]`.
    const field = stripped.find((each) => name === each || name.startsWith(`${each}[`));
    if (field !== undefined) changes.push(`${field} removed`);
    return field === undefined;
  });
  return kept.length < parts.length ? kept : parts;
}

const isOf = (names: readonly string[], { name }: Part): boolean => names.includes(name);

function wholeNumber({ name, value, filename }: Part, least: number): number {
  const text = value.length <= 20 && filename === undefined ? value.toString('latin1') : '';
  const figure = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(figure >= least)) throw new GatewayError('invalid_request', { message: `${name} must be a whole number` });
  return figure;
}
