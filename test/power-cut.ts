// What a power cut leaves of a directory. strace writes down every change of a file and every flush that a process asks for; from
// that, this makes the directory as a disk has it that kept what was flushed and nothing else.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryDirectory } from './gate.ts';

/** Runs a command under strace, which writes to this file. The content of everything written is in it, in hexadecimal. */
export const traced = (trace: string, command: readonly string[]): readonly string[] => [
  'strace',
  '-f',
  '--seccomp-bpf',
  '-y',
  '-xx',
  '-s',
  '100000000',
  '-e',
  'trace=openat,write,pwrite64,writev,ftruncate,rename,unlink,unlinkat,fsync,fdatasync',
  '-e',
  'signal=none',
  '-o',
  trace,
  ...command,
];

interface TracedFile {
  content: Buffer;
  flushed: Buffer;
}

interface Call {
  readonly name: string;
  readonly words: string;
  readonly result: number;
  /** Where the call began and returned in the trace. */
  readonly from: number;
  readonly to: number;
}

export class PowerCut {
  readonly #directory: string;
  readonly #before: ReadonlyMap<string, Buffer>;

  /**
   * Call it before the process starts: what the directory has by then is taken to be on the disk. No database in it may be open here,
   * because a process that closes a file loses all its locks on it.
   */
  constructor(directory: string) {
    this.#directory = directory;
    const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name));
    this.#before = new Map(
      names.filter((name) => statSync(name).isFile()).map((name) => [name, readFileSync(name)] as const),
    );
  }

  /** The process that was traced. */
  static processOf(trace: string): number {
    return Number.parseInt(readFileSync(trace, 'latin1'), 10);
  }

  /** A copy of the directory as the disk has it when the process begins to send its answer number `nth` over HTTP, from 1. */
  atAnswer(trace: string, nth: number): string {
    const calls = callsOf(readFileSync(trace, 'latin1'));
    return this.#copy(calls, answerOf(calls, nth).from);
  }

  /** How often a flush began between the beginnings of these answers. */
  static flushesBetween(trace: string, first: number, last: number): number {
    const calls = callsOf(readFileSync(trace, 'latin1'));
    const [from, to] = [answerOf(calls, first).from, answerOf(calls, last).from];
    return calls.filter((call) => call.name.endsWith('sync') && call.from > from && call.from < to).length;
  }

  /** The same when the process has ended. */
  atEnd(trace: string): string {
    return this.#copy(callsOf(readFileSync(trace, 'latin1')), Number.POSITIVE_INFINITY);
  }

  /** The same when the process has removed a file in this folder, on a disk that notes at once what names there are. */
  afterRemoval(trace: string, folder: string): string {
    const calls = callsOf(readFileSync(trace, 'latin1'));
    const removal = calls.find((call) => call.name.startsWith('unlink') && dirname(firstOf(call)) === folder);
    if (!removal) throw new Error(`nothing was removed in ${folder}`);
    return this.#copy(calls, removal.to + 1, 'at once');
  }

  #copy(calls: readonly Call[], until: number, noted: 'flushed' | 'at once' = 'flushed'): string {
    const disk = this.#replay(calls, until)[noted];
    const copy = temporaryDirectory();
    for (const [path, { flushed }] of disk) {
      const to = join(copy, path.slice(this.#directory.length));
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, flushed, { mode: 0o600 });
    }
    return copy;
  }

  /** The files that there are if names are noted when their directory is flushed, and if they are noted at once. */
  #replay(calls: readonly Call[], until: number): Record<'flushed' | 'at once', ReadonlyMap<string, TracedFile>> {
    const files = new Map<string, TracedFile>();
    for (const [path, content] of this.#before) files.set(path, { content, flushed: content });
    /** The names that the disk has. */
    const named = new Map(files);
    const inside = (path: string): boolean => path.startsWith(`${this.#directory}/`);
    // A flush is of what had been written when it was asked for, and holds from when it has returned.
    const events = calls.flatMap((call) =>
      call.name.endsWith('sync')
        ? [
            { at: call.from, call, isAsked: true },
            { at: call.to, call, isAsked: false },
          ]
        : [{ at: call.to, call, isAsked: false }],
    );
    const asked = new Map<Call, () => void>();
    for (const { at, call, isAsked } of events.toSorted((a, b) => a.at - b.at)) {
      if (at >= until) break;
      const { name, words, result } = call;
      if (result < 0) continue;
      const path = pathOf(words);
      if (isAsked) {
        const file = files.get(path);
        const content = file?.content;
        const names = [...files].filter(([each]) => dirname(each) === path);
        asked.set(call, () => {
          if (file && content) file.flushed = content;
          if (path !== this.#directory && !inside(path)) return;
          if (file) return;
          for (const each of named.keys()) if (dirname(each) === path) named.delete(each);
          for (const [each, one] of names) named.set(each, one);
        });
      } else if (name.endsWith('sync')) asked.get(call)?.();
      else if (name === 'openat') {
        const opened = firstOf(call);
        if (!inside(opened) || !/O_CREAT|O_TRUNC/.test(words)) continue;
        if (!files.has(opened)) files.set(opened, { content: Buffer.alloc(0), flushed: Buffer.alloc(0) });
        else if (/O_TRUNC/.test(words)) files.get(opened)!.content = Buffer.alloc(0);
      } else if (name === 'rename' || name.startsWith('unlink')) {
        const [from = '', to] = stringsOf(words);
        const file = files.get(from);
        files.delete(from);
        if (file && to !== undefined) files.set(to, file);
      } else {
        const file = files.get(path);
        if (file) file.content = changed(file.content, call);
      }
    }
    return { flushed: named, 'at once': files };
  }
}

function answerOf(calls: readonly Call[], nth: number): Call {
  const answers = calls.filter(
    ({ name, words }) =>
      /^writev?$/.test(name) && pathOf(words).startsWith('socket:') && textOf(words).startsWith('HTTP/1.1 '),
  );
  const answer = answers[nth - 1];
  if (!answer) throw new Error(`there were ${answers.length} answers`);
  return answer;
}

function changed(content: Buffer, { name, words, result }: Call): Buffer {
  const place = Number(/, (\d+)$/.exec(words)?.[1]);
  if (name === 'ftruncate')
    return Buffer.concat([content.subarray(0, place), Buffer.alloc(Math.max(0, place - content.length))]);
  const bytes = Buffer.concat(stringsOf(words).map((text) => Buffer.from(text, 'latin1'))).subarray(0, result);
  const at = name === 'pwrite64' ? place : content.length;
  const size = Math.max(content.length, at + bytes.length);
  const after = Buffer.concat([content], size);
  bytes.copy(after, at);
  return after;
}

/** Calls of several threads overlap: then one begins in one line and returns in a later one. */
function callsOf(trace: string): readonly Call[] {
  const calls: Call[] = [];
  const begun = new Map<string, { readonly text: string; readonly from: number }>();
  for (const [at, line] of trace.split('\n').entries()) {
    const [, thread = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(text)?.[1];
    if (unfinished !== undefined) {
      begun.set(thread, { text: unfinished, from: at });
      continue;
    }
    const rest = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)?.[1];
    const whole = rest === undefined ? text : `${begun.get(thread)?.text ?? ''}${rest}`;
    const [, name, words = '', result] = /^(\w+)\((.*)\) += (-?\d+)/.exec(whole) ?? [];
    if (name === undefined) continue;
    calls.push({
      name,
      words,
      result: Number(result),
      from: rest === undefined ? at : (begun.get(thread)?.from ?? at),
      to: at,
    });
  }
  return calls;
}

const decoded = (hexadecimal: string): string =>
  hexadecimal.replaceAll(/\\x([0-9a-f]{2})/g, (_, byte: string) => String.fromCharCode(Number.parseInt(byte, 16)));

const stringsOf = (words: string): readonly string[] =>
  [...words.matchAll(/"([^"]*)"/g)].map(([, text = '']) => decoded(text));

const firstOf = ({ words }: Call): string => stringsOf(words)[0] ?? '';

const textOf = (words: string): string => stringsOf(words).join('');

/** The path of the file that the call is given. */
const pathOf = (words: string): string => decoded(/^\d+<([^>]*)>/.exec(words)?.[1] ?? '');
