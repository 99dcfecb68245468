// What a plan leaves of a body: options that hurt the neighbours on a shared model server are lowered to the plan's
// bounds or taken away, a bound is added where a missing one would mean "without end", and counts beyond the plan are
// refused. Takes an allowed call; proves that what goes on is within the plan, and says what was changed. Every other
// byte of the body stays as it came.
import { GatewayError } from '../domain/error.ts';
import type { Terms } from '../domain/plan.ts';
import type { Authorized } from './authorize.ts';
import { type Edit, type JsonBody, type JsonValue, splice, textOf } from './strict-json.ts';

export interface Shaped extends Authorized {
  readonly [shaped]: true;
  /** Completion tokens that the caller asked for at most, after the plan; undefined where nothing was said. */
  readonly askedTokens: number | undefined;
  /** What was changed, for a response header: names and figures of ours only. */
  readonly changes: readonly string[];
}
declare const shaped: unique symbol;

/** Options that make Ollama load the model again for whoever comes with others (server/sched.go needsReload). */
const reloadOptions = ['num_gpu', 'num_batch', 'num_thread', 'main_gpu', 'use_mmap', 'draft_num_predict'];

/** @throws GatewayError `beyond_plan`, `invalid_request`. */
export function shape(call: Authorized): Shaped {
  const { document, principal } = call;
  const { bounds } = principal;
  const edits: Edit[] = [...call.edits];
  const changes: string[] = [];
  let askedTokens: number | undefined;
  let { body } = call;
  if (document && body) {
    const work: Work = { call, bytes: body, document, edits, changes };
    if (bounds) boundBody(work, bounds);
    const most = bounds?.maxOutputTokens ?? null;
    // 0 would be read as "without end" by some runners; a plan that lets nobody generate takes the scope away.
    askedTokens = boundOutput(work, most === null ? null : Math.max(1, most));
    if (edits.length > 1) edits.sort((a, b) => a.start - b.start);
    if (edits.length > 0) body = splice(body, edits);
  }
  // The call itself goes on: a copy of all its fields would cost more than looking at them did.
  // What was read of the body is not needed any more, and can be many times its bytes while the answer runs.
  return Object.assign(call, { body, askedTokens, changes, document: undefined }) as unknown as Shaped;
}

interface Work {
  readonly call: Authorized;
  readonly bytes: Buffer;
  readonly document: JsonBody;
  readonly edits: Edit[];
  readonly changes: string[];
}

function boundBody(work: Work, bounds: Terms): void {
  const { document, call } = work;
  const options = document.members.get('options')?.members;
  if (bounds.reloadOptions === 'strip') {
    for (const name of reloadOptions) remove(work, options?.get(name), `options.${name}`);
    remove(work, document.members.get('shift'), 'shift');
  }
  if (bounds.templates === 'strip')
    for (const name of ['raw', 'template']) remove(work, document.members.get(name), name);
  if (bounds.debugFields === 'strip') remove(work, document.members.get('_debug_render_only'), '_debug_render_only');
  boundContext(work, options?.get('num_ctx'), bounds.maxContextTokens);
  boundKeepAlive(work, bounds);
  refuseBeyond(call.images, bounds.maxImages, 'images');
  refuseBeyond(call.inputs, bounds.maxEmbeddingInputs, 'embedding inputs');
}

function boundContext(work: Work, value: JsonValue | undefined, most: number | null): void {
  if (most === 0) remove(work, value, 'options.num_ctx');
  else if (most !== null && value && value.kind !== 'null' && wholeNumber(work, value, 'options.num_ctx') > most)
    replace(work, value, 'options.num_ctx', most);
}

/** An answer without end would hold a slot for hours: Ollama's own bound is ten times the context. */
function boundOutput(work: Work, most: number | null): number | undefined {
  const field = outputField(work);
  if (!field) return undefined;
  const { name, value, add } = field;
  const asked = value && value.kind !== 'null' ? wholeNumber(work, value, name) : undefined;
  if (most === null) return asked !== undefined && asked > 0 ? asked : undefined;
  // Below zero is "until the context is full".
  if (asked !== undefined && asked >= 0 && asked <= most) {
    if (asked > 0) return asked;
    // Zero is read as "nothing" by some runners and as "without end" by others.
    if (value) replace(work, value, name, 1);
    return 1;
  }
  if (value) replace(work, value, name, most);
  else {
    work.edits.push(add(most));
    work.changes.push(`${name}=${most}`);
  }
  return asked === undefined || asked < 0 ? undefined : most;
}

interface OutputField {
  readonly name: string;
  readonly value: JsonValue | undefined;
  readonly add: (most: number) => Edit;
}

/** Where this operation says how long its answer may be; undefined where it has no such answer. */
function outputField({ call, bytes, document }: Work): OutputField | undefined {
  const { reply } = call.operation;
  if (reply === 'ollama-generation') {
    const options = document.members.get('options');
    const value = options?.members?.get('num_predict');
    const add = (most: number): Edit => {
      if (options?.members) return addMember(options, options.members.size, `"num_predict":${most}`);
      const text = `{"num_predict":${most}}`;
      return options
        ? { start: options.start, end: options.end, text }
        : addMember(document, document.members.size, `"options":${text}`);
    };
    return { name: 'options.num_predict', value, add };
  }
  const name =
    reply === 'openai-responses'
      ? 'max_output_tokens'
      : reply === 'openai-completion' || reply === 'anthropic-messages'
        ? 'max_tokens'
        : undefined;
  if (name === undefined) return undefined;
  // Ollama reads max_tokens alone; where only the newer name stands, it is what the caller meant.
  const newer = reply === 'openai-completion' ? document.members.get('max_completion_tokens') : undefined;
  const value = document.members.get(name);
  const meant = newer?.kind === 'number' ? Number(bytes.toString('latin1', newer.start, newer.end)) : undefined;
  return {
    name,
    value,
    add: (most) => {
      const within = meant !== undefined && Number.isInteger(meant) && meant > 0 ? Math.min(meant, most) : most;
      return addMember(document, document.members.size, `"${name}":${within}`);
    },
  };
}

function addMember(object: JsonValue, members: number, text: string): Edit {
  return { start: object.end - 1, end: object.end - 1, text: `${members > 0 ? ',' : ''}${text}` };
}

function boundKeepAlive(work: Work, { minKeepAliveSeconds: least, maxKeepAliveSeconds: most }: Terms): void {
  const value = work.document.members.get('keep_alive');
  if (!value || value.kind === 'null' || (least === null && most === null)) return;
  const text = work.bytes.toString('utf8', value.start, value.end);
  const seconds =
    value.kind === 'number'
      ? Number(text)
      : value.kind === 'string'
        ? goDuration(textOf(work.bytes, value))
        : undefined;
  // Go holds a duration in 63 bits of nanoseconds; beyond them it would come out as something else. And it cuts each part
  // of one to whole nanoseconds, so of the least below zero only Go knows whether it is "for ever" or nothing.
  const isUnclear = value.kind === 'string' && seconds !== undefined && seconds < 0 && seconds > -1e-6;
  if (seconds === undefined || Number.isNaN(seconds) || Math.abs(seconds) > longestSeconds || isUnclear)
    throw new GatewayError('invalid_request', { message: 'keep_alive must be seconds, or a duration such as "5m"' });
  // Below zero is "for ever", by however little.
  const meant = seconds < 0 ? Infinity : seconds;
  if (most !== null && meant > most) replace(work, value, 'keep_alive', most);
  else if (least !== null && meant < least) replace(work, value, 'keep_alive', least);
}

const longestSeconds = 9e9;

const unitSeconds: Record<string, number> = {
  ns: 1e-9,
  us: 1e-6,
  '\u00b5s': 1e-6,
  '\u03bcs': 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};

/** Seconds of a duration as Go's time.ParseDuration reads it: `5m`, `1h30m`, `-1s`, `0`. */
function goDuration(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0;
  // Length first, and digits in one way only: `\d+\.?\d*` would try every cut of every number, for ever in a long text.
  if (text.length > 64 || !/^[+-]?((\d+(\.\d*)?|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g))
    seconds += Number(amount) * (unitSeconds[unit as string] as number);
  return text.startsWith('-') ? -seconds : seconds;
}

function refuseBeyond(count: number, most: number | null, what: string): void {
  if (most !== null && count > most)
    throw new GatewayError('beyond_plan', {
      message: `The call has ${count} ${what}; the plan of this key allows ${most}.`,
    });
}

function wholeNumber({ bytes }: Work, value: JsonValue, name: string): number {
  const number = value.kind === 'number' ? Number(bytes.toString('latin1', value.start, value.end)) : Number.NaN;
  // Ollama would cut a fraction off, and 0.5 would become "without end".
  if (!Number.isInteger(number))
    throw new GatewayError('invalid_request', { message: `${name} must be a whole number` });
  return number;
}

function replace({ edits, changes }: Work, value: JsonValue, name: string, figure: number): void {
  edits.push({ start: value.start, end: value.end, text: String(figure) });
  changes.push(`${name}=${figure}`);
}

/** `null` is to Ollama as if the field were not there, and leaves the commas around it alone. */
function remove({ edits, changes }: Work, value: JsonValue | undefined, name: string): void {
  if (!value || value.kind === 'null') return;
  edits.push({ start: value.start, end: value.end, text: 'null' });
  changes.push(`${name} removed`);
}
