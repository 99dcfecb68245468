// What exactly is wanted: which models, streaming or not, and the bytes that will go on. Takes a caller who may use the
// operation; reads the body (bounded in size and time) and proves that it can be read in one way only.
// What was read is what goes on: JSON as it came, with an edit spliced in where one is needed; a form written again from
// what was read. Blobs are not held.
import { GatewayError } from '../domain/error.ts';
import { type ModelName, mostNameBytes, parseModelName } from '../domain/model-name.ts';
import { unlimited } from '../domain/plan.ts';
import { bodyFields } from '../upstream/kinds.ts';
import { readDigest, readDigests, refuseModelfile } from './creation.ts';
import type { Exchange } from './exchange.ts';
import { boundForm } from './form-bounds.ts';
import { bodiesOf } from './limits/account-usage.ts';
import { type BodyLimits, replaceBody } from './payload/body.ts';
import { given } from './payload/body-edits.ts';
import { acceptedCodings, codingOf } from './payload/content-coding.ts';
import { formBytes, formText, readForm, writeForm } from './payload/multipart.ts';
import { readBody } from './payload/read-body.ts';
import { type Edit, type JsonBody, type JsonValue, type Outline, scanObject, textOf } from './payload/strict-json.ts';
import type { Prechecked } from './precheck.ts';
import { readWebSearch, toolChoiceOutline } from './web-search.ts';

export interface NamedModel {
  /** As the caller spelled it; this goes back to them in a "not found". */
  readonly text: string;
  /** Undefined where the spelling is outside Ollama's grammar: such a model cannot exist. */
  readonly name: ModelName | undefined;
}

declare class Mark {
  protected readonly intended: true;
}
/** The call can be read in one way only, and this is what it wants. */
export interface Intended extends Prechecked, Mark {
  /** Every model the call names; the first is the one it is booked under. */
  readonly models: readonly NamedModel[];
  /** Names whose registry host Ollama would contact. */
  readonly registryModels: readonly NamedModel[];
  readonly stream: boolean;
  /** The call insists that Ollama search the web, or hand the prompt to another host, on the operator's account. */
  readonly leavesTheBox: boolean;
  /** Digests of blobs that it looks for, or makes a model of. */
  readonly blobs: readonly string[];
  /** Web searches that it merely offers to the model; in the body, as elements of `tools`. */
  readonly offeredSearches: readonly JsonValue[];
  /** Bytes for the upstream; undefined where there are none or where they stream through from the request. */
  readonly body: Buffer | undefined;
  /** Content-Type of those bytes: what we read them as, and not what the caller calls them. */
  readonly bodyType: string | undefined;
  /** What was read of a JSON body. */
  readonly document: JsonBody | undefined;
  /** What has to be changed in it before it goes on. */
  readonly edits: readonly Edit[];
  /** What the plan has changed in a form, which was written again already. */
  readonly formChanges: readonly string[];
  /** Images and embedding inputs in it; counted for callers with a plan only. */
  readonly images: number;
  readonly inputs: number;
  /** We asked for the usage event of a stream; the client did not, and must not see it. */
  readonly usageInjected: boolean;
  /** A guess at the prompt's tokens, for answers that never report a figure. */
  readonly promptEstimate: number;
}

const { lengths, choices, reloadOptions, reloads, templates, debug, capped } = bodyFields;

const optionsOutline: Outline = {
  known: new Set(
    'num_ctx num_keep seed stop temperature top_k top_p'.split(' ').concat(lengths, choices, reloadOptions),
  ),
};
const anyNames: Outline = { known: new Set() };

// Every field a policy reads, now or in the ledger's interest, spelled as Ollama's structs spell it.
const outline: Outline = {
  known: new Set(
    (
      'model name source destination from remote_host stream stream_options options keep_alive tools messages prompt ' +
      'input system format images think insecure tool_choice parameters files adapters draft_files modelfile path ' +
      'quantize suffix context truncate dimensions'
    )
      .split(' ')
      .concat(lengths, choices, reloads, templates, debug)
      .concat(capped.map(([name]) => name)),
  ),
  inside: {
    options: optionsOutline,
    parameters: optionsOutline,
    files: anyNames,
    adapters: anyNames,
    draft_files: anyNames,
    stream_options: { known: new Set(['include_usage']) },
    tool_choice: toolChoiceOutline,
  },
  each: { tools: { known: new Set(['type', 'name', 'function']) } },
};

const innerPart: Outline = { known: new Set(['type', 'image_url', 'source', 'content']) };
/** A part can be the result of a tool, which has parts of its own. */
const part: Outline = { ...innerPart, each: { content: innerPart } };
const message: Outline = {
  known: new Set(['role', 'content', 'images', 'type', 'output']),
  each: { content: part, output: part, images: { known: new Set() } },
};

/** For callers with a plan: what is counted is opened as well. */
const countingOutline: Outline = {
  ...outline,
  each: {
    ...outline.each,
    messages: message,
    input: message,
    images: { known: new Set() },
    prompt: { known: new Set() },
    content: { known: new Set() },
    inputs: { known: new Set() },
  },
};

type Body = JsonBody;

/** @throws GatewayError `body_too_large`, `not_json`, `ambiguous_json`, `invalid_request`, `unsupported_encoding`, … */
export async function readIntent(prechecked: Prechecked, exchange: Exchange, limits: BodyLimits): Promise<Intended> {
  const { operation, parameter, metering } = prechecked;
  const { request } = exchange;
  const field = request.headers['content-encoding'];
  const isCoded = field !== undefined && field.toLowerCase() !== 'identity';
  const isRead = operation.body === 'json' || operation.body === 'multipart';
  const coding = isCoded && isRead ? codingOf(field) : undefined;
  // Ollama un-zstds some bodies by itself; what we cannot unfold is a body that we would not have read (BODY-2).
  if (isCoded && !coding) {
    exchange.lines.push('accept-encoding', isRead ? acceptedCodings : 'identity');
    throw new GatewayError('unsupported_encoding');
  }
  if (operation.path.endsWith('{digest}')) {
    const digest = readDigest(parameter);
    if (digest === undefined)
      throw new GatewayError('invalid_request', { message: 'The address must name a sha256 digest.' });
    const wanted = operation.body === 'none' ? { blobs: [digest] } : { bodyType: 'application/octet-stream' };
    return noted(exchange, bodiless(prechecked, [], wanted));
  }
  if (operation.body === 'none') {
    const models = operation.model === 'path' ? [named(bounded('model', parameter))] : [];
    return noted(exchange, bodiless(prechecked, models));
  }

  const bytes = await readBody(exchange, bodiesOf(metering), limits, coding);
  if (operation.body === 'multipart') {
    const parts = readForm(bytes, request.headers['content-type']);
    const model = formText(parts, 'model', mostNameBytes);
    if (!model) throw new GatewayError('invalid_request', { message: 'model is required' });
    const { parts: bound, changes: formChanges } = boundForm(parts, prechecked.caller.principal.bounds);
    const { body, type } = replaceBody(exchange, bodiesOf(metering), limits.budget, formBytes(bound), () =>
      writeForm(bound),
    );
    const wanted = { body, bodyType: type, formChanges, promptEstimate: soundTokens(body.length) };
    return noted(exchange, bodiless(prechecked, [named(model)], wanted));
  }
  return noted(exchange, readJson(prechecked, bytes));
}

/** From here on the record knows what was asked for. */
function noted(exchange: Exchange, intent: Intended): Intended {
  exchange.streamed = intent.stream;
  exchange.notes.noteModel(intent.models[0]?.name?.canonical ?? null);
  return intent;
}

/**
 * What a recording is to a model: servers turn a second into 6 to 50 tokens and report none. A second is 2 KB where it
 * is packed tightly and 32 KB where it is not packed.
 */
function soundTokens(bytes: number): number {
  return Math.ceil(bytes / 512);
}

/** What we read as JSON is JSON to the model server too: a reader of form fields would find other fields in its texts. */
export const jsonType = 'application/json';

/**
 * What a JSON body wants. `promptTokens` is what the prompt weighs, where a preview says so.
 * @throws GatewayError `not_json`, `ambiguous_json`, `invalid_request`.
 */
export function readJson(prechecked: Prechecked, bytes: Buffer, promptTokens?: number): Intended {
  const { operation } = prechecked;
  const counts = prechecked.caller.principal.plan !== unlimited;
  const body = scanObject(bytes, counts ? countingOutline : outline);
  const { models, registryModels } = readModels(prechecked, bytes, body);
  const stream = readStream(body, bytes, operation.streamDefault);
  const usageInjected = operation.reply.usageOnRequest && stream && !asksForUsage(body, bytes);
  const pictures = counts ? countImages(body, bytes) : noImages;
  const search = readWebSearch(body, bytes);
  return {
    ...prechecked,
    models,
    registryModels,
    stream,
    leavesTheBox: search.forced || optionalText(body, bytes, 'remote_host') !== undefined,
    offeredSearches: search.offered,
    blobs: operation.model === 'create' ? readDigests(body, bytes) : none,
    body: bytes,
    bodyType: jsonType,
    document: body,
    formChanges: none,
    edits: usageInjected ? [askForUsage(body)] : [],
    images: pictures.count,
    inputs: operation.scope === 'inference:embed' ? countInputs(body) : 0,
    usageInjected,
    promptEstimate:
      promptTokens ?? estimatePromptTokens(bytes.length - pictures.bytes, counts) + pictures.count * imageTokens,
  } as unknown as Intended;
}

type Wanted = Pick<Intended, 'blobs' | 'body' | 'bodyType' | 'promptEstimate'>;

/** A call whose body is not there, streams through, or is not JSON. */
function bodiless(prechecked: Prechecked, models: readonly NamedModel[], wanted: Partial<Wanted> = {}): Intended {
  return {
    ...prechecked,
    models,
    registryModels: [],
    stream: prechecked.operation.streamDefault === true,
    leavesTheBox: false,
    offeredSearches: [],
    blobs: none,
    body: undefined,
    bodyType: undefined,
    document: undefined,
    formChanges: none,
    edits: [],
    images: 0,
    inputs: 0,
    usageInjected: false,
    promptEstimate: 0,
    ...wanted,
  } as unknown as Intended;
}

const none: readonly never[] = [];
const noImages = { count: 0, bytes: 0 };
/** Models turn an image into a few hundred tokens, whatever its bytes; Gemma 3 into 256, others into more. */
const imageTokens = 600;

/** Where a part of a message holds its image: OpenAI, Anthropic, and what other servers and MCP write. */
const imageFieldNames = ['image_url', 'source', 'image', 'data'];

/**
 * Images in every place where the three families put them. Only the image itself counts as its bytes, so that no byte is
 * taken off the text twice, and no text that stands beside it.
 */
function countImages(body: Body, bytes: Buffer): { count: number; bytes: number } {
  const found = { count: 0, bytes: 0 };
  const add = (value: JsonValue): void => {
    found.count++;
    found.bytes += value.end - value.start;
  };
  const addPart = (value: JsonValue): void => {
    if (!/^(input_)?image(_url)?$/.test(typeOf(bytes, value) ?? '')) return;
    found.count++;
    for (const name of imageFieldNames) {
      const image = value.members?.get(name);
      if (image) found.bytes += image.end - image.start;
    }
  };
  for (const image of body.members.get('images')?.items ?? []) add(image);
  for (const list of ['messages', 'input']) {
    for (const { members } of body.members.get(list)?.items ?? []) {
      for (const image of members?.get('images')?.items ?? []) add(image);
      for (const name of ['content', 'output'])
        for (const piece of members?.get(name)?.items ?? []) {
          addPart(piece);
          for (const inner of piece.members?.get('content')?.items ?? []) addPart(inner);
        }
    }
  }
  return found;
}

/** Where servers look for what is to be embedded: llama-server reads `content` where there is no `input`, others read the rest. */
const inputNames = ['input', 'inputs', 'content', 'prompt'];

function countInputs(body: Body): number {
  let inputs = 0;
  for (const name of inputNames) {
    const value = given(body.members, name);
    if (value) inputs = Math.max(inputs, value.items ? value.items.length : 1);
  }
  return inputs;
}

/** Bytes over four is the usual rule of thumb for English and errs high for Japanese; images that were not told apart do not count without bound. */
function estimatePromptTokens(bytes: number, imagesApart: boolean): number {
  return Math.min(Math.ceil(bytes / 4), imagesApart ? Infinity : 131_072);
}

const named = (text: string): NamedModel => ({ text, name: parseModelName(text) });

function readModels(
  { operation }: Prechecked,
  bytes: Buffer,
  body: Body,
): { models: readonly NamedModel[]; registryModels: readonly NamedModel[] } {
  switch (operation.model) {
    case 'none':
    case 'path':
    case 'form':
      return { models: [], registryModels: [] };
    case 'model':
      return { models: [named(requiredText(body, bytes, 'model'))], registryModels: [] };
    case 'copy': {
      const source = named(requiredText(body, bytes, 'source'));
      const destination = named(requiredText(body, bytes, 'destination'));
      return { models: [source, destination], registryModels: [] };
    }
    case 'model-or-name':
      return { models: [modelOrName(body, bytes)], registryModels: [] };
    case 'registry': {
      const model = modelOrName(body, bytes);
      return { models: [model], registryModels: [model] };
    }
    case 'create': {
      refuseModelfile(body);
      // Ollama downloads `from` by itself where it does not have it.
      const from = optionalText(body, bytes, 'from');
      const base = from === undefined ? [] : [named(from)];
      return { models: [modelOrName(body, bytes), ...base], registryModels: base };
    }
  }
}

/** `name` is the older spelling of `model`; Ollama takes `model` where both stand, so both must say the same. */
function modelOrName(body: Body, bytes: Buffer): NamedModel {
  const model = optionalText(body, bytes, 'model');
  const name = optionalText(body, bytes, 'name');
  if (model !== undefined && name !== undefined && model !== name) {
    throw new GatewayError('ambiguous_json', { message: '"model" and "name" disagree.' });
  }
  return named(model ?? name ?? requiredText(body, bytes, 'model'));
}

function requiredText(body: Body, bytes: Buffer, field: string): string {
  const text = optionalText(body, bytes, field);
  if (text === undefined) throw new GatewayError('invalid_request', { message: `${field} is required` });
  return text;
}

/** An absent, null or empty field is undefined; anything but a string, and one longer than any name, is refused. */
function optionalText(body: Body, bytes: Buffer, field: string): string | undefined {
  const value = given(body.members, field);
  if (value === undefined) return undefined;
  if (value.kind !== 'string') throw new GatewayError('invalid_request', { message: `${field} must be a string` });
  // An escape is six bytes for one character; anything longer is not even read.
  if (value.end - value.start > 6 * mostNameBytes + 2) throw tooLong(field);
  const text = bounded(field, textOf(bytes, value));
  return text === '' ? undefined : text;
}

/** @throws GatewayError where a text is longer than any name. */
function bounded(field: string, text: string): string {
  if (text.length > mostNameBytes || Buffer.byteLength(text) > mostNameBytes) throw tooLong(field);
  return text;
}

const tooLong = (field: string): GatewayError =>
  new GatewayError('invalid_request', { message: `${field} is longer than ${mostNameBytes} bytes` });

/** The type of a tool or of a part of a message; undefined where it is none, or longer than any that is known. */
function typeOf(bytes: Buffer, { members }: JsonValue): string | undefined {
  const type = members?.get('type');
  return type?.kind === 'string' && type.end - type.start <= 400 ? textOf(bytes, type) : undefined;
}

function readStream(body: Body, bytes: Buffer, missing: boolean | null): boolean {
  if (missing === null) return false;
  const value = given(body.members, 'stream');
  if (value === undefined) return missing;
  if (value.kind !== 'boolean') throw new GatewayError('invalid_request', { message: 'stream must be true or false' });
  return bytes[value.start] === 0x74;
}

function asksForUsage(body: Body, bytes: Buffer): boolean {
  const value = body.members.get('stream_options')?.members?.get('include_usage');
  return value !== undefined && value.kind === 'boolean' && bytes[value.start] === 0x74;
}

/** Sets `stream_options.include_usage: true`. */
function askForUsage(body: Body): Edit {
  const options = body.members.get('stream_options');
  const asked = options?.members?.get('include_usage');
  if (asked) return { start: asked.start, end: asked.end, text: 'true' };
  if (options?.members) {
    const comma = options.members.size > 0 ? ',' : '';
    return { start: options.end - 1, end: options.end - 1, text: `${comma}"include_usage":true` };
  }
  if (options) return { start: options.start, end: options.end, text: '{"include_usage":true}' };
  return { start: body.end - 1, end: body.end - 1, text: ',"stream_options":{"include_usage":true}' };
}
