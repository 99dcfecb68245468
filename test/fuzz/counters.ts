// Puts a counter into every block, branch and default of the parsers while they are loaded, so that the engine sees after
// each input what it reached and how often. V8's own block coverage costs fifty times as much as an input, so it could only
// be read once per batch. The parser is Vite's.
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseSync, Visitor } from 'vite';

/** Maximum number of blocks of all parsers together. */
const capacity = 16_384;
const counts = new Uint32Array(capacity);
Object.assign(globalThis, { reachedBlocks: counts });

interface Parser {
  /** The counters of its blocks: [from, to). */
  readonly from: number;
  readonly to: number;
  /** The words and single bytes in its source: mostly what it compares with. */
  readonly words: readonly string[];
}

const parsers = new Map<string, Parser>();
let next = 0;

/** From now on these files get counters when they are loaded. Paths are absolute. */
export function countIn(files: readonly string[]): void {
  const wanted = new Set(files);
  registerHooks({
    load(url, context, load) {
      const loaded = load(url, context);
      const file = url.startsWith('file:') ? fileURLToPath(url) : '';
      if (!wanted.has(file)) return loaded;
      return { ...loaded, source: withCounters(file, Buffer.from(loaded.source as Uint8Array).toString('utf8')) };
    },
  });
}

export function parserAt(file: string): Parser {
  const parser = parsers.get(file);
  if (!parser) throw new Error(`${file} was not loaded: no target imports it`);
  return parser;
}

export function resetCounts(): void {
  counts.fill(0, 0, next);
}

/** Calls back with every feature of the last input: which block, and the order of magnitude of its count. */
export function eachFeature(parser: Parser, found: (feature: number) => void): void {
  for (let block = parser.from; block < parser.to; block++) {
    const count = counts[block] as number;
    if (count > 0) found(block * magnitudes + Math.min(magnitudes - 1, 31 - Math.clz32(count)));
  }
}

/** 1, 2–3, 4–7, … 128 and more times. */
const magnitudes = 8;
export const mostFeatures = capacity * magnitudes;
export const blockOf = (feature: number): number => Math.floor(feature / magnitudes);

type Span = { readonly start: number; readonly end: number };

function withCounters(file: string, source: string): string {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const from = next;
  const words = new Set<string>();
  const openers: { at: number; text: string }[] = [];
  const closers: { at: number; text: string }[] = [];
  const count = (): string => `reachedBlocks[${next++}]++`;
  const insert = (at: number): number => openers.push({ at, text: `${count()};` });
  const wrap = ({ start, end }: Span, [open, separator, close]: readonly [string, string, string]): void => {
    openers.push({ at: start, text: open + count() + separator });
    closers.push({ at: end, text: close });
  };
  const expression = (node: Span): void => wrap(node, ['(', ',', ')']);
  const statement = (node: Span & { readonly type: string }): void => {
    if (node.type !== 'BlockStatement') wrap(node, ['{', ';', '}']);
  };
  const loop = ({ body }: { readonly body: Span & { readonly type: string } }): void => statement(body);
  new Visitor({
    BlockStatement: ({ start }) => insert(start + 1),
    IfStatement(node) {
      // Falling through is a branch, too.
      if (node.alternate) statement(node.alternate);
      else closers.push({ at: node.end, text: ` else {${count()};}` });
      statement(node.consequent);
    },
    ForStatement: loop,
    ForInStatement: loop,
    ForOfStatement: loop,
    WhileStatement: loop,
    SwitchCase: (node) => insert(node.consequent[0]?.start ?? node.end),
    ConditionalExpression(node) {
      expression(node.consequent);
      expression(node.alternate);
    },
    LogicalExpression: ({ right }) => expression(right),
    AssignmentPattern: ({ right }) => expression(right),
    AssignmentExpression(node) {
      if (/^(\|\||&&|\?\?)=$/.test(node.operator)) expression(node.right);
    },
    ArrowFunctionExpression({ body }) {
      if (body.type !== 'BlockStatement') expression(body);
    },
    Literal({ value }) {
      if (typeof value === 'string' && value.length > 0 && value.length <= 40) words.add(value);
      else if (typeof value === 'number' && Number.isSafeInteger(value)) {
        words.add(String(value));
        if (value < 256) words.add(String.fromCharCode(value));
      }
    },
  }).visit(program);
  if (next > capacity) throw new Error('more blocks than counters');
  parsers.set(file, { from, to: next, words: [...words] });
  // At one position, ends come first, the inner one before the outer one; then beginnings, the outer one before the inner
  // one.
  const edits = [...closers.toReversed(), ...openers].toSorted((a, b) => a.at - b.at);
  let written = '';
  let at = 0;
  for (const edit of edits) {
    written += source.slice(at, edit.at) + edit.text;
    at = edit.at;
  }
  return written + source.slice(at);
}
