// Checks the error texts of a model server, or of a proxy in front of it, before a caller reads them: they must not contain
// the gate's credentials or the server's address. Secrets are looked for in every form in which they could appear (escaped,
// encoded, truncated, in part), and a text that contains one is dropped whole. Addresses and credentials of others are removed.
import type { Credentials } from './credentials.ts';

/** A secret is recognized by this many of its letters and digits in a row. */
const gramLength = 8;
const mostLength = 1_000;
const hidden = '[hidden]';
/** Names that every machine has for itself, and that reveal nothing. */
const ownNames = new Set(['localhost', '127.0.0.1', '[::1]']);
/** Public sites, which an error text may mention. */
const publicHosts = /^(?:[\w-]+\.)*(?:ollama\.com|ollama\.ai|huggingface\.co|hf\.co|github\.com)$/i;

export class Screen {
  readonly #grams = new Set<string>();
  /** Secrets with too few letters and digits, compared as they are. */
  readonly #odd: string[] = [];
  readonly #hosts: readonly string[];

  constructor({ secrets }: Pick<Credentials, 'secrets'>, url: URL) {
    for (const secret of secrets) for (const form of formsOf(secret)) this.#learn(form);
    this.#hosts = [...new Set([url.host, url.hostname])].filter((host) => !ownNames.has(host)).map(lower);
  }

  /** The text as a caller may read it, at most a thousand characters; undefined if it may not be shown. */
  sentence(said: string): string | undefined {
    const text = said.slice(0, mostLength);
    const readings = readingsOf(text);
    for (const reading of readings) {
      if (this.#holdsSecret(reading)) return undefined;
      const lowered = reading.toLowerCase();
      // The address is encoded, so it cannot be removed from the text.
      if (reading !== text && this.#hosts.some((host) => lowered.includes(host) && !text.toLowerCase().includes(host)))
        return undefined;
    }
    return this.#withoutAddresses(text);
  }

  /** An error code or the name of a field; undefined for anything else. */
  word(said: unknown): string | undefined {
    if (typeof said !== 'string' || !/^[\w.[\]-]{1,80}$/.test(said)) return undefined;
    return this.sentence(said) === said ? said : undefined;
  }

  #withoutAddresses(text: string): string {
    let rest = text
      .replace(/\b[a-z][a-z0-9+.-]{1,15}:\/\/([^\s/"'<>\\]+)[^\s"'<>\\]*/gi, (whole, authority: string) =>
        publicHosts.test(authority) ? whole : hidden,
      )
      .replace(/\b(Bearer|Basic|Token|ApiKey)\s+[\w+/=.~-]{8,}/gi, `$1 ${hidden}`)
      .replace(/\b(?:sk|pk|hf|gsk|xai|AIza|eyJ)[-_A-Za-z0-9][\w.-]{12,}/g, hidden)
      .replace(/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b/g, hidden)
      .replace(/\[[0-9a-f:.]*:[0-9a-f:.]*\](?::\d{1,5})?/gi, hidden)
      .replace(/\b(lookup|host) [\w.-]+/gi, `$1 ${hidden}`)
      .replace(/\b[a-z0-9-]+(?:\.[a-z0-9-]+)+:\d{2,5}\b/gi, hidden);
    for (const host of this.#hosts) rest = replaceWord(rest, host);
    return rest;
  }

  #learn(secret: string): void {
    const squeezed = squeeze(secret);
    if (squeezed.length < gramLength) this.#odd.push(secret);
    for (let at = 0; at + gramLength <= squeezed.length; at++) this.#grams.add(squeezed.slice(at, at + gramLength));
  }

  #holdsSecret(reading: string): boolean {
    if (this.#odd.some((secret) => reading.includes(secret))) return true;
    if (this.#grams.size === 0) return false;
    const squeezed = squeeze(reading);
    for (let at = 0; at + gramLength <= squeezed.length; at++)
      if (this.#grams.has(squeezed.slice(at, at + gramLength))) return true;
    return false;
  }
}

const lower = (text: string): string => text.toLowerCase();
const squeeze = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]+/g, '');

/** As it is, in hexadecimal, and in base64 at each of the three offsets at which it can begin. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const shifted = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replaceAll('=', '');
    // The first letters and the last one also encode bits of the neighbouring text.
    return text.slice(Math.ceil((before * 8) / 6), -1);
  });
  return [secret, bytes.toString('hex'), ...shifted];
}

/** The text, and what it becomes when JSON, URL and HTML escapes are decoded, up to three times. */
function readingsOf(text: string): string[] {
  const readings = [text];
  for (let round = 0; round < 3; round++) {
    const last = readings.at(-1) as string;
    const next = last
      .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
      .replace(/\\u\{?([0-9a-f]{1,6})\}?/gi, (_, hex: string) => characterOf(Number.parseInt(hex.slice(-4), 16)))
      .replace(/\\x([0-9a-f]{2})/gi, (_, hex: string) => characterOf(Number.parseInt(hex, 16)))
      .replace(/&#x([0-9a-f]{1,6});/gi, (_, hex: string) => characterOf(Number.parseInt(hex, 16)))
      .replace(/&#(\d{1,7});/g, (_, digits: string) => characterOf(Number(digits)))
      .replace(/&(?:amp|quot|lt|gt|apos);/g, '&')
      .replace(/\\(.)/g, '$1')
      .normalize('NFKC');
    if (next === last) break;
    readings.push(next);
  }
  return readings;
}

const characterOf = (code: number): string => (code <= 0x10ffff ? String.fromCodePoint(code) : '');

/** Ignores case. A plain word is replaced only where it stands by itself. */
function replaceWord(text: string, word: string): string {
  const lowered = text.toLowerCase();
  const isPlain = !/[.:]/.test(word);
  let found = '';
  let from = 0;
  for (let at = lowered.indexOf(word); at >= 0; at = lowered.indexOf(word, from)) {
    const isWhole = !/[\w-]/.test(lowered[at - 1] ?? ' ') && !/[\w-]/.test(lowered[at + word.length] ?? ' ');
    found += text.slice(from, at) + (isWhole || !isPlain ? hidden : text.slice(at, at + word.length));
    from = at + word.length;
  }
  return found + text.slice(from);
}
