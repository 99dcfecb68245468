// What people call things: names of accounts, people, keys and passkeys, and the texts they write to each other. One reading for
// all of them, after the profiles of PRECIS (RFC 8264, section 4.3; nicknames, RFC 8266): composed (NFC), without signs that
// nobody sees or that turn a line around, and bounded in bytes. What is stored already is shown as it is. Pure.
import { lookAlikes } from './look-alikes.ts';

/** What a label may be at most; a sign of Japanese takes three bytes. */
export const labelBounds = { characters: 200, bytes: 600 } as const;

/** Controls, halves of pairs, what is unassigned or private, and what separates lines or turns the direction of writing. */
const refused = /[\p{Cc}\p{Cs}\p{Cn}\p{Co}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
/** Signs without a picture of their own, which only their neighbours give a meaning (RFC 5892, appendix A.1 and A.2). */
const unseen = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/u;
/** An emoji's parts, a kanji's variant, and what an Indic script joins or parts after its virama. */
const joined =
  /(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|[#*0-9])\ufe0f?\u20e3?(?:\u200d(?=\p{Extended_Pictographic}))?|\p{Unified_Ideograph}[\ufe00-\ufe02\u{e0100}-\u{e01ef}]|[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca][\u200c\u200d]/gu;
const piled = /\p{M}{5}/u;

/** Scripts that look alike in part, each with what it may stand beside in one word. */
const scripts: readonly RegExp[] = [
  /[\p{Script=Latin}]/u,
  /[\p{Script=Cyrillic}]/u,
  /[\p{Script=Greek}]/u,
  /[\p{Script=Armenian}]/u,
  /[\p{Script=Cherokee}]/u,
  /[\p{Script=Coptic}]/u,
  /[\p{Script=Lisu}]/u,
  /[\p{Script=Georgian}]/u,
];

/** What is against a text; undefined where nothing is. */
function faultOf(text: string): string | undefined {
  if (refused.test(text)) return 'holds control characters or signs that turn the direction of writing';
  if (unseen.test(text.replaceAll(joined, ''))) return 'holds signs that nobody sees';
  if (piled.test(text)) return 'piles up marks on one letter';
  return undefined;
}

/** One line: a name. @throws Error with what is against it. */
export function readLabel(text: string, most: number = labelBounds.characters): string {
  // Spaces of any width are spaces; at the ends they mean nothing, and several are one (RFC 8266, section 2.1).
  const label = text
    .normalize('NFC')
    .replaceAll(/\p{Zs}+/gu, ' ')
    .replaceAll(/^ | $/g, '');
  const length = Array.from(label).length;
  if (length === 0 || length > most || Buffer.byteLength(label) > labelBounds.bytes)
    throw new Error(`needs 1 to ${most} characters`);
  const fault = faultOf(label);
  if (fault !== undefined) throw new Error(fault);
  for (const word of label.match(/[\p{L}\p{M}]+/gu) ?? [])
    if (scripts.filter((script) => script.test(word)).length > 1)
      throw new Error('mixes letters of different scripts in one word, which look alike');
  return label;
}

/** Several lines: what somebody writes to somebody. @throws Error with what is against it. */
export function readProse(text: string, most: number): string {
  const prose = text.normalize('NFC').replaceAll(/\r\n?/g, '\n').trim();
  if (prose === '' || prose.length > most) throw new Error(`needs 1 to ${most.toLocaleString('en-US')} characters`);
  // Lines and indents are part of a text, and so are the two marks that Arabic and Hebrew need between digits.
  const fault = faultOf(prose.replaceAll(/[\n\t\u200e\u200f\u061c]/g, ''));
  if (fault !== undefined) throw new Error(fault);
  return prose;
}

/** A name that another system hands over, of which nobody can be asked for a better one: what is wrong with it is left out. */
export function mendLabel(text: string, otherwise: string): string {
  const short = Array.from(text.slice(0, 2_000).normalize('NFC').replaceAll(/\s+/g, ' '))
    .filter((sign) => !refused.test(sign) && !unseen.test(sign))
    .slice(0, labelBounds.characters)
    .join('');
  try {
    return readLabel(short);
  } catch {
    return otherwise;
  }
}

/**
 * What two names have in common that a person takes for the same: width, letter case, look-alike letters, spaces and signs that
 * are not seen (after the skeletons of UTS #39, section 4). For comparing only.
 */
export function skeletonOf(name: string): string {
  const plain = name
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll('ß', 'ss')
    .replaceAll(/[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{Z}]/gu, '')
    .normalize('NFC');
  let skeleton = '';
  for (const sign of plain) skeleton += lookAlikes.get(sign) ?? sign;
  return skeleton;
}
