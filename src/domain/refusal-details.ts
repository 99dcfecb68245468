// What a refusal says beyond its code: which limit has no room, how much of it is used, until when. The caller gets the sentence in
// English and the ledger keeps it; `detailIn` finds the sentence and its parameters again and says them in the reader's language. A
// GatewayError of a policy or of capacity takes no other sentences.
import { causeIn } from './causes.ts';
import { finderOf } from './patterns.ts';
import type { Language } from './person.ts';
import { fillHoles, type HoleName } from './plural.ts';
import { detailsInJapanese, wordsInJapanese } from './refusal-details-japanese.ts';

export const details = {
  window_full: '{who} may use {most} {what} {each}; {used} {used|is|are} used. The next {window} begins in {wait}.',
  window_short:
    '{who} may use {most} {what} {each}; {used} {used|is|are} used and this call needs about {need}. The next {window} begins in {wait}.',
  crowded:
    '{running} {running|call|calls} of {whose} {running|is|are} running, {most} may run at once, and no more may wait.',
  no_call: 'The {source} allows no call of this kind: its concurrentRequests is 0.',
  signed_too_many: 'This key has signed too many calls in the last minutes.',
  too_many_answers: 'The call asks for {count} {count|answer|answers} at once; the plan of this key allows {most}.',
  too_many_parts: 'The call has {count} {parts}; the plan of this key allows {most}.',
  grammar_large:
    '{field} is too large: up to 64 KiB, {items} {items|item|items} and {units} {units|unit|units} with all repetitions written out.',
  template_arguments:
    '{field} may have up to {most} {most|switch, number or short word|switches, numbers and short words} with the plan of this key, and no argument of the template function.',
  service_crowded: 'This account runs as many calls of "{service}" as the service allows it at once: {most}.',
  sockets_full: 'This key has as many WebSockets of "{service}" open as the service allows it: {most}.',
  no_path_key: 'This service does not take a key in its address. Send it as x-api-key.',
  late_path_key: 'A key in an address stands at its beginning, as in /k/<key>/…',
  ticket_origin: 'A ticket is for one page: name its origin in the Origin header.',
  unknown_tool: 'Unknown tool: {tool}',
  lacks_scope: 'This API key does not have the scope "{scope}", which this call needs.',
  lacks_pull:
    'This API key does not have the scope "{scope}", which this call needs. A model that was not found does not exist here, or not for this key; ask {whom} to pull it.',
  suspended_until: 'This {subject} is suspended until {moment}: {reason} Appeal to {whom}, naming {id}.',
  suspended: 'This {subject} is suspended until it is reviewed: {reason} Appeal to {whom}, naming {id}.',
} as const;

export type DetailName = keyof typeof details;
const inJapanese: Readonly<Record<DetailName, string>> = detailsInJapanese;
type HolesOf<Text extends string> = Text extends `${string}{${infer Hole}}${infer Rest}`
  ? HoleName<Hole> | HolesOf<Rest>
  : never;
type Values<Name extends DetailName> = Readonly<Record<HolesOf<(typeof details)[Name]>, string | number>>;

declare const mark: unique symbol;
/** A sentence of the table. */
export type Detail = string & { readonly [mark]: true };

/** Numbers as they are; those that people count are written with separators by the caller. */
export const detail = <Name extends DetailName>(name: Name, values: Values<Name>): Detail =>
  fillHoles(details[name], (hole) => String(values[hole as keyof Values<Name>])) as Detail;

const find = finderOf<DetailName>(details, {
  each: 'an? \\w+',
  most: '[\\d,.]+',
  used: '[\\d,.]+',
  need: '[\\d,.]+',
  running: '[\\d,]+',
  count: '\\d+',
  wait: '\\d+ \\w+',
  moment: '\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z',
  id: 'sus_\\w+',
});

/** `moment` writes a time for the reader. Undefined: not a sentence of this table, for example of another version. */
export function detailIn(language: Language, text: string, moment: (iso: string) => string): string | undefined {
  for (const { name, values } of find(text)) {
    return fillHoles(language === 'ja' ? inJapanese[name] : details[name], (hole) => {
      const value = values[hole] ?? '';
      if (hole === 'moment') return moment(value);
      if (hole === 'reason') return causeIn(language, value);
      if (language === 'en') return value;
      return hole === 'wait' ? waitInJapanese(value) : (wordsInJapanese[value] ?? value);
    });
  }
  return undefined;
}

function waitInJapanese(text: string): string {
  const [count = '', unit = ''] = text.split(' ');
  return `${count}${wordsInJapanese[unit] ?? unit}`;
}
