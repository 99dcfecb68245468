// Takes `stream_options` back out of a body that only the gate put it into, for a server that refuses the field.

import { type Outline, ofAnswers, scanObject, splice } from '../payload/strict-json.ts';
import type { Routed } from '../route.ts';

const outline: Outline = { known: new Set(), inside: { stream_options: { known: new Set() } } };

type Streamed = Pick<Routed, 'body' | 'usageInjected'>;

/** The body as it goes on, and whether it asks for a usage that the caller did not ask for. */
export function bodyFor({ body, usageInjected }: Streamed, plain: boolean): Streamed {
  const without = plain && usageInjected && body ? withoutStreamOptions(body) : undefined;
  return without ? { body: without, usageInjected: false } : { body, usageInjected };
}

/** Undefined where the field says more than what the gate asked for. */
function withoutStreamOptions(body: Buffer): Buffer | undefined {
  const options = scanObject(body, outline, ofAnswers).members.get('stream_options');
  if (!options?.members || options.keyStart === undefined) return undefined;
  if (options.members.size !== 1 || !options.members.has('include_usage')) return undefined;
  const isSpace = (at: number): boolean => [0x20, 0x09, 0x0a, 0x0d].includes(body[at] as number);
  let start = options.keyStart;
  let { end } = options;
  // With the comma that belongs to it: the one before it, or, for the first member, the one after it.
  while (isSpace(start - 1)) start--;
  if (body[start - 1] === 0x2c) start--;
  else {
    while (isSpace(end)) end++;
    if (body[end] === 0x2c) end++;
  }
  return splice(body, [{ start, end, text: '' }]);
}
