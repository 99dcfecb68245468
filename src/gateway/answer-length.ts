// Bounds the length of an answer. Servers read the bound under many names, some under several; so every such name in
// the body is limited to the plan, whatever the route, and the bound is added under the route's own name if it is
// missing. Several choices count as one answer and share the bound.
import { GatewayError } from '../domain/error.ts';
import { detail } from '../domain/refusal-details.ts';
import { bodyFields } from '../upstream/kinds.ts';
import { add, given, replace, type Work, wholeNumber } from './payload/body-edits.ts';

/** The requested completion tokens of all choices together, if the call states them. */
export interface AskedLength {
  readonly tokens: number | undefined;
  readonly choices: number;
}

/** Names that servers of any kind use for the length of an answer and for the number of answers per prompt. */
export const { lengths: lengthNames, choices: choiceNames } = bodyFields;

/** OpenAI allows 128; more choices have no use. */
const mostChoices = 1024;
/** Runners count tokens in 32 bits; a larger reservation would make sums imprecise. */
const mostTokens = 2 ** 31 - 1;

/** Where a route's own server reads the bound. */
export interface OwnLength {
  readonly name: string;
  /** It is a member of `options`. */
  readonly inOptions: boolean;
}

/**
 * For a caller without a plan: changes nothing; the figure only helps the queue. `where` is undefined if nothing is
 * generated.
 */
export function readLength(work: Work, where: OwnLength | undefined): AskedLength {
  const { document } = work;
  if (where === undefined) return { tokens: undefined, choices: 1 };
  const { name, inOptions } = where;
  const value = given(inOptions ? document.members.get('options')?.members : document.members, name);
  const tokens = value && wholeNumber(work, value, inOptions ? `options.${name}` : name);
  return { tokens: tokens !== undefined && tokens > 0 ? Math.min(tokens, mostTokens) : undefined, choices: 1 };
}

/**
 * Limits the answer to the plan. An unlimited answer would hold a slot for hours: Ollama's own bound is ten times the
 * context. `most` null is no bound; `own` is the model's own setting (`PARAMETER num_predict`), which an added bound
 * must not raise.
 * @throws GatewayError `invalid_request`, `beyond_plan`.
 */
export function boundLength(
  work: Work,
  where: OwnLength | undefined,
  most: number | null,
  own: number | undefined,
): AskedLength {
  if (where === undefined) return { tokens: undefined, choices: 1 };
  const choices = countChoices(work);
  const allowed = Math.min(most ?? mostChoices, mostChoices);
  if (choices > allowed)
    throw new GatewayError('beyond_plan', {
      message: detail('too_many_answers', { count: choices, most: allowed }),
      figures: { needed: choices, most: allowed },
    });
  const each = most === null ? null : Math.floor(most / choices);
  const found = boundNamed(work, each);
  const { name, inOptions } = where;
  const path = inOptions ? 'options' : undefined;
  const ownMembers = path ? work.document.members.get(path)?.members : work.document.members;
  if (each !== null && !given(ownMembers, name)) {
    const meant = found.smallest ?? own ?? each;
    const figure = Math.min(each, meant);
    add(work, path, name, figure);
    if (found.largest === undefined && figure < each) return { tokens: figure * choices, choices };
  }
  const tokens = found.endless || found.largest === undefined ? undefined : found.largest * choices;
  return { tokens: tokens === undefined ? undefined : Math.min(tokens, mostTokens), choices };
}

interface Named {
  /** The finite lengths in the body, after applying the plan; a server may read any of them. */
  readonly smallest: number | undefined;
  readonly largest: number | undefined;
  /** A negative length means "until the context is full". */
  readonly endless: boolean;
}

/** Lowers every length in the body, under any name. */
function boundNamed(work: Work, each: number | null): Named {
  const { document } = work;
  const options = document.members.get('options')?.members;
  let smallest: number | undefined;
  let largest: number | undefined;
  let endless = false;
  for (const place of ['', 'options.'])
    for (const name of lengthNames) {
      const value = given(place === '' ? document.members : options, name);
      if (!value) continue;
      let figure = wholeNumber(work, value, place + name);
      if (each !== null && (figure <= 0 || figure > each)) {
        // Some runners read zero as "nothing", others as "no limit".
        if (figure < 0) endless = true;
        figure = figure === 0 ? 1 : each;
        replace(work, value, place + name, figure);
      } else if (figure <= 0) continue;
      if (smallest === undefined || figure < smallest) smallest = figure;
      if (largest === undefined || figure > largest) largest = figure;
    }
  return { smallest, largest, endless };
}

/** The largest number of choices under any name, times the number of prompts. */
function countChoices(work: Work): number {
  const { document } = work;
  const options = document.members.get('options')?.members;
  let choices = 1;
  for (const place of ['', 'options.'])
    for (const name of choiceNames) {
      const value = given(place === '' ? document.members : options, name);
      if (!value) continue;
      const figure = wholeNumber(work, value, place + name);
      if (figure < 1) throw new GatewayError('invalid_request', { message: `${place}${name} must be above 0` });
      choices = Math.max(choices, figure);
    }
  return choices * Math.max(1, countPrompts(work));
}

/** A list of numbers is one prompt, in tokens; a list of texts or of such lists is one prompt per element. */
function countPrompts({ document }: Work): number {
  let prompts = 0;
  for (const { kind } of document.members.get('prompt')?.items ?? []) if (kind !== 'number') prompts++;
  return prompts;
}
