// Reads the operator's logo, a PNG or SVG as a data: URL. What is kept is rewritten from what was read, so that nothing else can
// ride along in the file.
import { createHash } from 'node:crypto';
import { readPng } from './safe-png.ts';
import { readSvg } from './safe-svg.ts';
import { type Said, say, Unreadable } from './sentences.ts';

/** Of the picture itself, before it is encoded. */
export const mostLogoBytes = 64 * 1024;

export interface Logo {
  readonly type: 'image/png' | 'image/svg+xml';
  readonly bytes: Buffer;
}

const readers = {
  'image/png': readPng,
  'image/svg+xml': (bytes: Buffer) => Buffer.from(readSvg(new TextDecoder('utf-8', { fatal: true }).decode(bytes))),
} as const;

/** The same picture as a data: URL that holds nothing but what is drawn; empty stays empty. Otherwise why it cannot be used. */
export function readLogo(text: string): string | Said {
  if (text === '') return '';
  const match = /^data:(image\/png|image\/svg\+xml);base64,([A-Za-z0-9+/]+={0,2})$/.exec(text);
  if (!match) return say('logo_shape', {});
  const type = match[1] as Logo['type'];
  const bytes = Buffer.from(match[2] as string, 'base64');
  if (bytes.length > mostLogoBytes) return say('logo_large', { most: mostLogoBytes / 1024 });
  try {
    return `data:${type};base64,${readers[type](bytes).toString('base64')}`;
  } catch (error) {
    return error instanceof Unreadable ? error.said : say('logo_broken', {});
  }
}

/** Names the picture; another one has another. */
export const logoTag = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 16);

/** The picture of a value that `readLogo` has given; undefined for the empty one. */
export function logoOf(text: string): Logo | undefined {
  if (text === '') return undefined;
  const comma = text.indexOf(',');
  return {
    type: text.startsWith('data:image/png') ? 'image/png' : 'image/svg+xml',
    bytes: Buffer.from(text.slice(comma + 1), 'base64'),
  };
}
