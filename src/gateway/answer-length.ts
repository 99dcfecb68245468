// How long an answer may become. Servers read the bound under many names, and some read several; so each name that stands
// in the body is held to the plan, whatever the route, and the bound is added where the route's own name is missing.
// An answer of several choices is one answer: its choices share the bound.
import { GatewayError } from '../domain/error.ts';
import { bodyFields } from '../upstream/kinds.ts';
import { add, given, replace, type Work, wholeNumber } from './payload/body-edits.ts';

/** What a call asks for: completion tokens of all its choices together, where it says how many. */
export interface AskedLength {
  readonly tokens: number | undefined;
  readonly choices: number;
}

/** Names under which servers of any kind read how long an answer may become, and how many are generated for a prompt. */
export const { lengths: lengthNames, choices: choiceNames } = bodyFields;

/** More in one call is nothing that anybody reads; OpenAI ends at 128. */
const mostChoices = 1024;
/** What runners hold a count of tokens in; a reservation beyond it would blur the sums it is added to. */
const mostTokens = 2 ** 31 - 1;

/** Where a route's own server reads the bound. */
export interface OwnLength {
  readonly name: string;
  /** It stands inside `options`. */
  readonly inOptions: boolean;
}

/**
 * For a caller without a plan: nothing is changed, and what is asked for is only a figure for the queue. `where` is undefined
 * if nothing is generated.
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
 * An answer without end would hold a slot for hours: Ollama's own bound is ten times the context.
 * `most` null is no bound; `own` is what the model says of itself (`PARAMETER num_predict`), which an added bound must
 * not raise.
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
  if (choices > Math.min(most ?? mostChoices, mostChoices))
    throw new GatewayError('beyond_plan', {
      message: `The call asks for ${choices} answers at once; the plan of this key allows ${Math.min(most ?? mostChoices, mostChoices)}.`,
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
  /** The lengths that stand in the body and end, after the plan; a server may read any of them. */
  readonly smallest: number | undefined;
  readonly largest: number | undefined;
  /** Below zero is "until the context is full". */
  readonly endless: boolean;
}

/** Lowers every length that stands in the body, by whatever name. */
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
        // Zero is read as "nothing" by some runners and as "without end" by others.
        if (figure < 0) endless = true;
        figure = figure === 0 ? 1 : each;
        replace(work, value, place + name, figure);
      } else if (figure <= 0) continue;
      if (smallest === undefined || figure < smallest) smallest = figure;
      if (largest === undefined || figure > largest) largest = figure;
    }
  return { smallest, largest, endless };
}

/** The largest number of choices under any name, for each prompt of a list of prompts. */
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

/** A list of numbers is one prompt, in tokens; a list of texts or of such lists is as many as it has. */
function countPrompts({ document }: Work): number {
  let prompts = 0;
  for (const { kind } of document.members.get('prompt')?.items ?? []) if (kind !== 'number') prompts++;
  return prompts;
}
