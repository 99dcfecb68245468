// What every command of `sekisho` needs: the store, the author of changes, parsers for options, and printing.
import { closeSync, openSync, readSync } from 'node:fs';
import { userInfo } from 'node:os';
import process from 'node:process';
import { InvalidArgumentError } from 'commander';
import type { Author } from '../domain/audit.ts';
import { Refusal } from '../domain/refusal.ts';
import type { NotedState } from '../domain/server-status.ts';
import type { WallMs } from '../domain/time.ts';
import { namesForIds, namesIn } from '../management/names.ts';
import type { Config } from '../settings/config.ts';
import type { Store } from '../store/ports/store.ts';
import { tableLines } from './table.ts';

/** What a command works with; run-command.ts creates it. */
export interface CommandContext {
  readonly store: Store;
  readonly config: Config;
  readonly author: Author;
  /** The states of model servers that a running gateway reports, by id or address; undefined if none runs. */
  readonly serverStates: () => ReadonlyMap<string, NotedState> | undefined;
}

/** Opens the store, runs `use`, and closes the store. */
export type WithContext = (use: (context: CommandContext) => Promise<void>) => Promise<void>;

export interface Json {
  readonly json?: boolean;
}

export function commandAuthor(now: WallMs): Author {
  let user = 'unknown';
  try {
    user = userInfo().username;
  } catch {
    // A user id without a name, as containers have.
  }
  return { actor: `cli:${user}`, at: now };
}

/** `loss`: written to standard error if the object cannot be printed and cannot be retrieved again. */
export function printObject(object: Readonly<Record<string, unknown>>, json: boolean | undefined, loss?: string): void {
  if (json === true) print(jsonText(object), loss);
  else {
    const width = Math.max(12, ...Object.keys(object).map((name) => name.length));
    for (const [name, value] of Object.entries(object)) print(`${name.padEnd(width)} ${cell(value)}`, loss);
  }
}

/** As `printObject`; for people with names in the place of ids, but in fields called `id`. */
export async function printNamed(
  store: Store,
  object: Readonly<Record<string, unknown>>,
  json: boolean | undefined,
  loss?: string,
): Promise<void> {
  printObject(json === true ? object : namesForIds(object, await namesIn(store, object)), json, loss);
}

/** Prints rows as a JSON array, or as a table with these columns; prints `empty` if there are none. */
export function printRows(
  rows: readonly object[],
  columns: readonly string[],
  json: boolean | undefined,
  empty: string,
): void {
  if (json === true) print(jsonText(rows));
  else if (rows.length === 0) print(empty);
  else {
    const cells = rows.map((row) => columns.map((column) => cell((row as Record<string, unknown>)[column])));
    // A program that reads the output gets cells in full length.
    const most = process.stdout.isTTY ? process.stdout.columns : undefined;
    for (const line of tableLines([columns, ...cells], most)) print(line);
  }
}

/** Prints that something was removed: as an object, or as a sentence. */
export function printGone(object: Record<string, unknown>, json: boolean | undefined, sentence: string): void {
  if (json === true) print(jsonText(object));
  else print(sentence);
}

/**
 * Characters that a terminal acts on instead of showing: control characters, and those that change the direction of a line or
 * end it. Untrusted text (purposes, appeals) and names from older versions can contain them.
 */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const commanding = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** JSON in which characters that a terminal would act on are escaped; it parses to the same value. */
function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(commanding, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Prints a sentence, which may repeat user input, to standard error. */
export function printError(sentence: string): void {
  process.stderr.write(`${sentence.slice(0, 1_000).replace(commanding, '?')}\n`);
}

/** Untrusted text, made safe for a terminal. */
export const plainText = (text: string): string => text.replace(commanding, '?');

/** A value as the text of a table cell. */
function cell(value: unknown): string {
  const text = textOf(value);
  return (text === '' ? '-' : text).replace(commanding, '?');
}

/** Lists with commas, fields as `name=value`; never JSON. */
function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(textOf).join(',');
  if (typeof value !== 'object') return typeof value === 'string' ? value : JSON.stringify(value);
  return Object.entries(value)
    .map(([name, held]) => `${name}=${cellIn(held)}`)
    .join(' ');
}

/** A value inside another one; objects are in parentheses. */
function cellIn(value: unknown): string {
  const text = textOf(value);
  if (text === '') return '-';
  return typeof value === 'object' && !Array.isArray(value) ? `(${text})` : text;
}

export function print(line: string, loss?: string): void {
  process.stdout.write(`${line}\n`, (error) => {
    if (!error || loss === undefined) return;
    process.stderr.write(`The output could not be written (${(error as NodeJS.ErrnoException).code}). ${loss}\n`);
    process.exit(1);
  });
}

export function words(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** Parses `tokensPerDay=100000 models=gemma3:*` to an object, without checking names and values. */
export function pairs(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=');
      if (equals < 1) throw new Refusal(`Use name=value, not "${text}".`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

export function rowCount(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text) || Number(text) > 10_000)
    throw new InvalidArgumentError('Use a whole number from 1 to 10000.');
  return Number(text);
}

const unitMs: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Milliseconds of `90s`, `12h`, `30d`. */
export function duration(text: string): number {
  const match = /^(\d{1,6})([smhdw])$/.exec(text);
  if (!match) throw new InvalidArgumentError('Use a number and s, m, h, d or w, such as 30d.');
  return Number(match[1]) * (unitMs[match[2] as string] as number);
}

/** Unix milliseconds of a date, or of a time from now. */
export function moment(text: string): number {
  return at(text, 1);
}

/** Unix milliseconds of a date, or of a time ago. */
export function pastMoment(text: string): number {
  return at(text, -1);
}

function at(text: string, direction: 1 | -1): number {
  if (/^\d{1,6}[smhdw]$/.test(text)) return Date.now() + direction * duration(text);
  const date = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(date))
    throw new InvalidArgumentError('Use a date such as 2027-01-31, or a time such as 12h or 30d.');
  return date;
}

export function publicKeyText(fileOrText: string): string {
  return /^(ssh-ed25519 )?AAAA/.test(fileOrText) ? fileOrText : fileText(fileOrText);
}

/** Larger than any key or certificate. */
const mostFileBytes = 1024 * 1024;

export const fileText = (path: string): string => fileBytes(path).toString('utf8');

/** Reads in chunks, because a device or a pipe does not tell its length and may be endless. */
export function fileBytes(path: string): Buffer {
  try {
    const file = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(mostFileBytes + 1);
      let length = 0;
      for (let count = -1; count !== 0 && length < bytes.length; length += count)
        count = readSync(file, bytes, length, bytes.length - length, null);
      if (length > mostFileBytes) throw new Error(`${path} is too large for a key or a certificate.`);
      return bytes.subarray(0, length);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
