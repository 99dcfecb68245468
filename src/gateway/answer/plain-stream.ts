// Removes `stream_options` from a body if the gateway added it and the server refuses the field.

import { type Outline, ofAnswers, scanObject, splice } from '../payload/strict-json.ts';
import type { Routed } from '../route.ts';

const outline: Outline = { known: new Set(), inside: { stream_options: { known: new Set() } } };

type Streamed = Pick<Routed, 'body' | 'usageInjected'>;

/** The body to forward, and whether it requests a usage that the caller did not request. */
export function bodyFor({ body, usageInjected }: Streamed, plain: boolean): Streamed {
  const without = plain && usageInjected && body ? withoutStreamOptions(body) : undefined;
  return without ? { body: without, usageInjected: false } : { body, usageInjected };
}

/** Undefined if the field has more than the gateway added. */
function withoutStreamOptions(body: Buffer): Buffer | undefined {
  const options = scanObject(body, outline, ofAnswers).members.get('stream_options');
  if (!options?.members || options.keyStart === undefined) return undefined;
  if (options.members.size !== 1 || !options.members.has('include_usage')) return undefined;
  const isSpace = (at: number): boolean => [0x20, 0x09, 0x0a, 0x0d].includes(body[at] as number);
  let start = options.keyStart;
  let { end } = options;
  // Includes the comma before it, or, for the first member, the one after it.
  while (isSpace(start - 1)) start--;
  if (body[start - 1] === 0x2c) start--;
  else {
    while (isSpace(end)) end++;
    if (body[end] === 0x2c) end++;
  }
  return splice(body, [{ start, end, text: '' }]);
}
