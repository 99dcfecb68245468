// What a plan leaves of a body: options that hurt the neighbours on a shared model server are lowered to the plan's
// bounds or taken away, a bound is added where a missing one would mean "without end", and counts beyond the plan are
// refused. Takes an allowed call; proves that what goes on is within the plan, and says what was changed. Every other
// byte of the body stays as it came.
import { GatewayError } from '../domain/error.ts';
import type { Terms } from '../domain/plan.ts';
import type { Principal } from '../domain/principal.ts';
import { bodyFields } from '../upstream/kinds.ts';
import { type AskedLength, boundLength, readLength } from './answer-length.ts';
import type { Authorized } from './authorize.ts';
import { boundParameters } from './creation.ts';
import { jsonType, readJson } from './intent.ts';
import { type ModelFacts, noServer, type ServerFacts } from './model-facts.ts';
import { given, remove, replace, type Work, wholeNumber } from './payload/body-edits.ts';
import { type Edit, type JsonBody, type JsonValue, textOf } from './payload/strict-json.ts';
import { type Figured, type ForServer, figureFor } from './server-figures.ts';
import { takeOffersOut } from './web-search.ts';

declare class Mark {
  protected readonly shaped: true;
}
/** What goes on is within the plan. */
export interface Shaped extends Authorized, Mark {
  /** Completion tokens that the caller asked for at most, all choices together; undefined where nothing was said. */
  readonly askedTokens: number | undefined;
  /** Answers that are generated at once. */
  readonly choices: number;
  /** What was changed, for a response header: names and figures of ours only. */
  readonly changes: readonly string[];
  /** Its caller as they were then. */
  readonly shapedFor: Principal;
  /** Of the servers that took calls then. */
  readonly shapedWith: ModelFacts;
  /** What the body says to one model server and not to another. */
  readonly figured: Figured | undefined;
}

/** A call can go to a server of any kind, and the kind of a server is what it says of itself: the fields of all are bounded. */
const { reloadOptions, reloads, templates, debug, capped } = bodyFields;

/** @throws GatewayError `beyond_plan`, `invalid_request`; `upstream_unreachable` where no server takes calls. */
export function shape(call: Authorized, facts: ModelFacts): Shaped {
  return within(call, call, call.formChanges, facts);
}

/** What was read of a body. */
type Read = Pick<Authorized, 'document' | 'images' | 'inputs' | 'offeredSearches' | 'edits'>;

function within(call: Authorized, read: Read, before: readonly string[], facts: ModelFacts): Shaped {
  const { document, images, inputs, offeredSearches } = read;
  const { principal } = call.caller;
  const { bounds } = principal;
  if (facts.length === 0) throw noServer();
  let asked: AskedLength = { tokens: undefined, choices: 1 };
  let changes = before;
  let figured: Figured | undefined;
  let { body } = call;
  if (document && body) {
    if (bounds) {
      refuseBeyond(images, bounds.maxImages, 'images');
      refuseBeyond(inputs, bounds.maxEmbeddingInputs, 'embedding inputs');
    }
    const bytes = body;
    const saidTo = (server: ServerFacts): Said => editsFor(call, read, before, bytes, document, server);
    const [first, ...others] = facts as readonly [ServerFacts, ...ServerFacts[]];
    const model = bounds ? call.models[0]?.name?.canonical : undefined;
    const said = saidTo(first);
    const differing =
      bounds &&
      model !== undefined &&
      others.length > 0 &&
      differ(facts, contextOf(document, bytes, bounds), bounds, model)
        ? others.map(saidTo)
        : none;
    ({ body, figured } = figureFor(bytes, said, differing));
    ({ asked, changes } = said);
    for (const other of differing) asked = longerOf(asked, other.asked);
  }
  // What was read of the body is not needed any more, and can be many times its bytes while the answer runs.
  const { tokens: askedTokens, choices } = asked;
  const found = {
    body,
    images,
    inputs,
    offeredSearches,
    askedTokens,
    choices,
    changes,
    figured,
    shapedFor: principal,
    shapedWith: facts,
    document: undefined,
  };
  return { ...call, ...found } as unknown as Shaped;
}

const none: readonly never[] = [];

/**
 * A call that has waited, within what its caller's plan and key say by now, for the servers that take calls by now: the same
 * call if neither has changed. What was taken away before stays away, and `changes` names both. @throws as `shape`.
 */
export function shapeAgain(call: Shaped, facts: ModelFacts): Shaped {
  const { body, shapedFor, shapedWith } = call;
  const { principal } = call.caller;
  if (!body || call.bodyType !== jsonType) return call;
  const sameTerms = principal === shapedFor || termsOf(principal) === termsOf(shapedFor);
  if (sameTerms && facts === shapedWith) return call;
  // What goes on is read once more, so that what is bounded now is what stands there.
  const { document, images, inputs, offeredSearches } = readJson(call, body);
  return within(call, { document, images, inputs, offeredSearches, edits: none }, call.changes, facts);
}

/** All that shaping asks about a caller. */
const termsOf = ({ bounds, scopes }: Principal): string => JSON.stringify([bounds ?? null, scopes.has('cloud')]);

interface Said extends ForServer {
  readonly asked: AskedLength;
}

/** What becomes of the body on its way to one model server. @throws GatewayError `beyond_plan`, `invalid_request`. */
function editsFor(
  { caller: { principal }, operation, models }: Authorized,
  read: Read,
  before: readonly string[],
  bytes: Buffer,
  document: JsonBody,
  facts: ServerFacts,
): Said {
  const { bounds } = principal;
  const edits: Edit[] = [...read.edits];
  const changes: string[] = [...before];
  const work: Work = { bytes, document, edits, changes };
  if (!principal.scopes.has('cloud')) takeOffersOut(work, read.offeredSearches);
  let asked: AskedLength;
  if (bounds) {
    const most = bounds.maxOutputTokens;
    const model = models[0]?.name?.canonical;
    boundBody(work, bounds, model, facts);
    const own = model === undefined ? undefined : facts.answerTokens(model);
    // 0 would be read as "without end" by some runners; a plan that lets nobody generate takes the scope away.
    asked = boundLength(work, operation.reply.length, most === null ? null : Math.max(1, most), own);
  } else asked = { tokens: readLength(work, operation.reply.length).tokens, choices: 1 };
  if (edits.length > 1) edits.sort((a, b) => a.start - b.start);
  return { server: facts.server, edits, changes, asked };
}

/** The context that a call asks for, where a plan lets what is loaded decide. */
function contextOf(
  document: JsonBody,
  bytes: Buffer,
  { reloadOptions: others, maxContextTokens: most }: Terms,
): number | undefined {
  const value =
    others === 'strip' && most !== 0 ? given(document.members.get('options')?.members, 'num_ctx') : undefined;
  return value && Number(bytes.toString('latin1', value.start, value.end));
}

/** Would the servers not all get the same body? */
function differ(
  facts: ModelFacts,
  context: number | undefined,
  { maxContextTokens: most }: Terms,
  model: string,
): boolean {
  const tokens = facts[0]?.answerTokens(model);
  const settled = context === undefined ? undefined : facts[0]?.contexts.settle(model, context, most);
  return facts.some(
    ({ answerTokens, contexts }, at) =>
      at > 0 &&
      (answerTokens(model) !== tokens || (context !== undefined && contexts.settle(model, context, most) !== settled)),
  );
}

/** What is reserved must do for whichever server gets the call. */
function longerOf(a: AskedLength, b: AskedLength): AskedLength {
  const tokens = a.tokens === undefined || b.tokens === undefined ? undefined : Math.max(a.tokens, b.tokens);
  return { tokens, choices: a.choices };
}

function boundBody(work: Work, bounds: Terms, model: string | undefined, { contexts }: ServerFacts): void {
  const { document } = work;
  const options = document.members.get('options')?.members;
  if (bounds.reloadOptions === 'strip') {
    for (const name of reloadOptions) remove(work, options?.get(name), `options.${name}`);
    removeAll(work, reloads);
  }
  if (bounds.templates === 'strip') removeAll(work, templates);
  if (bounds.debugFields === 'strip') removeAll(work, debug);
  boundContext(work, given(options, 'num_ctx'), bounds, model, contexts);
  boundCapped(work);
  boundKeepAlive(work, bounds);
  boundParameters(work, bounds, reloadOptions);
}

const contextName = 'options.num_ctx';

function boundContext(
  work: Work,
  value: JsonValue | undefined,
  { maxContextTokens: most, reloadOptions: others }: Terms,
  model: string | undefined,
  contexts: ServerFacts['contexts'],
): void {
  if (!value) return;
  if (most === 0) {
    remove(work, value, contextName);
    return;
  }
  if (most === null && others === 'allow') return;
  const asked = wholeNumber(work, value, contextName);
  const settled =
    others === 'strip' && model !== undefined ? contexts.settle(model, asked, most) : Math.min(asked, most ?? Infinity);
  if (settled === undefined) remove(work, value, contextName);
  else if (settled !== asked) replace(work, value, contextName, settled);
}

function removeAll(work: Work, names: readonly string[]): void {
  for (const name of names) remove(work, work.document.members.get(name), name);
}

/** What no plan speaks of. */
function boundCapped(work: Work): void {
  for (const [name, most] of capped) {
    const value = given(work.document.members, name);
    if (value && wholeNumber(work, value, name) > most) replace(work, value, name, most);
  }
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
