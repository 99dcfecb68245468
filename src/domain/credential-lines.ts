// Reads what the gate shows to a model server: header lines, as a file or a stored secret holds them.
import { Unreadable } from './sentences.ts';

/** Headers of body framing and coding, of the HTTP client, or of one connection (RFC 9110 §7.6.1). */
const reservedNames = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
]);

/**
 * Header lines as name, value, name, value, the names in lower case, from one `Name: value` per line. Empty lines and lines
 * that begin with # are comments. @throws Error with a sentence that names the line, and never quotes it: it may be a secret
 * with a typo.
 */
export function readHeaderLines(text: string): string[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  return lines.flatMap((line, at) => {
    if (line === '' || line.startsWith('#')) return [];
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)$/.exec(line);
    const name = match?.[1]?.toLowerCase();
    if (!match || name === undefined) throw new Unreadable('secret_line_shape', { line: at + 1 });
    if (reservedNames.has(name)) throw new Unreadable('secret_line_name', { line: at + 1, name });
    return [name, match[2] as string];
  });
}

/**
 * The same for the secret of one server, which may also be a single word: an API key, shown as `Authorization: Bearer <key>`.
 * @throws as `readHeaderLines`.
 */
export function readSecretLines(text: string): string[] {
  const word = text.trim();
  return /^[A-Za-z0-9._~+/=-]+$/.test(word) ? ['authorization', `Bearer ${word}`] : readHeaderLines(text);
}
