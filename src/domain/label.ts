// Reads what people write: names of accounts, people, keys and passkeys, and longer texts. One reading for all of them,
// after the PRECIS profiles (RFC 8264 §4.3; nicknames, RFC 8266): NFC, no invisible or bidirectional control
// characters, bounded in bytes. Labels that are already stored are shown unchanged. Pure.

import { lookAlikes } from './look-alikes.ts';
import { Unreadable } from './sentences.ts';

/** The largest label; a Japanese character takes three bytes. */
export const labelBounds = { characters: 200, bytes: 600 } as const;

/** Control, surrogate, unassigned and private-use characters, line separators, and bidirectional controls. */
const refused = /[\p{Cc}\p{Cs}\p{Cn}\p{Co}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
/** Invisible characters, which have a meaning only next to others (RFC 5892, appendix A.1 and A.2). */
const unseen = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/u;
/** Where they are allowed: parts of an emoji, variants of a kanji, and joiners after an Indic virama. */
const joined =
  /(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|[#*0-9])\ufe0f?\u20e3?(?:\u200d(?=\p{Extended_Pictographic}))?|\p{Unified_Ideograph}[\ufe00-\ufe02\u{e0100}-\u{e01ef}]|[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca][\u200c\u200d]/gu;
const piled = /\p{M}{5}/u;

/** Scripts with look-alike letters. A word may use only one of them. */
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

/** What is wrong with a text; undefined if nothing is. */
function faultOf(text: string): 'text_controls' | 'text_invisible' | 'text_marks' | undefined {
  if (refused.test(text)) return 'text_controls';
  if (unseen.test(text.replaceAll(joined, ''))) return 'text_invisible';
  if (piled.test(text)) return 'text_marks';
  return undefined;
}

/** Reads a name, on one line. @throws Error with what is wrong. */
export function readLabel(text: string, most: number = labelBounds.characters): string {
  // Any space counts as a plain one; spaces at the ends are dropped, and runs become one (RFC 8266 §2.1).
  const label = text
    .normalize('NFC')
    .replaceAll(/\p{Zs}+/gu, ' ')
    .replaceAll(/^ | $/g, '');
  const length = Array.from(label).length;
  if (length === 0 || length > most || Buffer.byteLength(label) > labelBounds.bytes)
    throw new Unreadable('text_length', { most });
  const fault = faultOf(label);
  if (fault !== undefined) throw new Unreadable(fault, {});
  for (const word of label.match(/[\p{L}\p{M}]+/gu) ?? [])
    if (scripts.filter((script) => script.test(word)).length > 1) throw new Unreadable('text_mixes_scripts', {});
  return label;
}

/** Reads a text of several lines. @throws Error with what is wrong. */
export function readProse(text: string, most: number): string {
  const prose = text.normalize('NFC').replaceAll(/\r\n?/g, '\n').trim();
  if (prose === '' || prose.length > most) throw new Unreadable('text_length', { most: most.toLocaleString('en-US') });
  // Line breaks and tabs are part of a text, and so are the direction marks that Arabic and Hebrew need between digits.
  const fault = faultOf(prose.replaceAll(/[\n\t\u200e\u200f\u061c]/g, ''));
  if (fault !== undefined) throw new Unreadable(fault, {});
  return prose;
}

/** Reads a name from another system, where the user cannot be asked to correct it: removes what is not allowed. */
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
 * Maps a name to a key that is equal for names people take for the same: ignores width, letter case, look-alike
 * letters, spaces and invisible characters (after the skeletons of UTS #39 §4). For comparison only.
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
