// Determines what is requested: which models, streaming or not, and the bytes to forward. Takes a caller who may use
// the operation; reads the body (bounded in size and time) and proves that it has only one reading. What was parsed is
// what is forwarded: JSON unchanged except for spliced edits; a form rebuilt from its parsed parts. Blobs are not held.
import { GatewayError } from '../domain/error.ts';
import { mostNameBytes } from '../domain/model-name.ts';
import { unlimited } from '../domain/plan.ts';
import { bodyFields, namedFields } from '../upstream/kinds.ts';
import { readDigest, readDigests } from './creation.ts';
import type { Exchange } from './exchange.ts';
import { boundForm } from './form-bounds.ts';
import { bodiesOf } from './limits/account-usage.ts';
import type { Meanings, NamedModel } from './model-names.ts';
import { bounded, optionalText, readModels } from './named-models.ts';
import { type BodyLimits, replaceBody } from './payload/body.ts';
import { given } from './payload/body-edits.ts';
import { acceptedCodings, codingOf } from './payload/content-coding.ts';
import { formBytes, formText, readForm, withText, writeForm } from './payload/multipart.ts';
import { readBody } from './payload/read-body.ts';
import { type Edit, type JsonBody, type JsonValue, type Outline, scanObject, textOf } from './payload/strict-json.ts';
import type { Prechecked } from './precheck.ts';
import { readServerTools, toolChoiceOutline } from './server-tools.ts';
import { type McpCall, mcpOf, takeMcp } from './services/mcp/take-mcp.ts';
import { streamsBody } from './services/request-body.ts';
import { refuseUnsafe } from './unsafe-bodies.ts';

declare class Mark {
  protected readonly intended: true;
}
/** Proof that the call has only one reading, and its content. */
export interface Intended extends Prechecked, Mark {
  /** Every model that the call names; the first is the one it is recorded under. */
  readonly models: readonly NamedModel[];
  /** Models whose registry host Ollama would contact. */
  readonly registryModels: readonly NamedModel[];
  readonly stream: boolean;
  /** The call requires a tool that the server runs elsewhere, or a prompt that it sends to another host. */
  readonly leavesTheBox: boolean;
  /** Digests of blobs that it checks for, or creates a model from. */
  readonly blobs: readonly string[];
  /** Tools of the server that it only offers to the model; in the body, as elements of `tools`. */
  readonly offeredServerTools: readonly JsonValue[];
  /** What it asks of an MCP server; undefined for every other call. */
  readonly mcp: McpCall | undefined;
  /** Bytes for the upstream; undefined if there are none or they are streamed from the request. */
  readonly body: Buffer | undefined;
  /** Content-Type of those bytes, according to how they were parsed, not to what the caller declared. */
  readonly bodyType: string | undefined;
  /** The parsed JSON body. */
  readonly document: JsonBody | undefined;
  /** Edits to apply before it is forwarded. */
  readonly edits: readonly Edit[];
  /** The plan's changes to a form, which is already rebuilt. */
  readonly formChanges: readonly string[];
  /** Images and embedding inputs; counted only for callers with a plan. */
  readonly images: number;
  readonly inputs: number;
  /** The gateway requested the usage event of a stream; the client did not, and must not receive it. */
  readonly usageInjected: boolean;
  /** Estimated tokens of the prompt, for answers that report no figures. */
  readonly promptEstimate: number;
}

const { lengths, choices, reloadOptions, templateArguments } = bodyFields;

const optionsOutline: Outline = {
  known: new Set(
    'num_ctx num_keep seed stop temperature top_k top_p'.split(' ').concat(lengths, choices, reloadOptions),
  ),
};
const anyNames: Outline = { known: new Set() };

// Every field that a policy or the ledger reads, spelled as in Ollama's structs.
const outline: Outline = {
  known: new Set(
    (
      'model name source destination from remote_host stream stream_options options keep_alive tools messages prompt ' +
      'input system format images think insecure tool_choice parameters files adapters draft_files modelfile path ' +
      'quantize suffix context truncate dimensions'
    )
      .split(' ')
      .concat(namedFields),
  ),
  inside: {
    options: optionsOutline,
    parameters: optionsOutline,
    files: anyNames,
    adapters: anyNames,
    draft_files: anyNames,
    stream_options: { known: new Set(['include_usage']) },
    tool_choice: toolChoiceOutline,
    ...Object.fromEntries(templateArguments.map((name) => [name, anyNames])),
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

/** For callers with a plan: also descends into what is counted. */
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
export async function readIntent(
  prechecked: Prechecked,
  exchange: Exchange,
  limits: BodyLimits,
  names: Meanings,
): Promise<Intended> {
  const { operation, parameter, metering, caller } = prechecked;
  const { request } = exchange;
  const mcp = mcpOf(operation);
  if (mcp) {
    const taken = await takeMcp(mcp, exchange, prechecked, limits);
    return noted(exchange, bodiless(prechecked, [], taken));
  }
  if (streamsBody(operation, request)) return noted(exchange, bodiless(prechecked, []));
  const field = request.headers['content-encoding'];
  const isCoded = field !== undefined && field.toLowerCase() !== 'identity';
  const isRead = operation.body === 'json' || operation.body === 'multipart';
  const coding = isCoded && isRead ? codingOf(field) : undefined;
  // Ollama decompresses zstd by itself; a coding that the gateway cannot decode would be a body that it has not read.
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
    if (operation.model !== 'path') return noted(exchange, bodiless(prechecked, []));
    const model = names.meant(bounded('model', parameter), operation, caller.principal);
    return noted(exchange, bodiless(prechecked, [model], { parameter: model.sent ?? parameter }));
  }

  const bytes = await readBody(exchange, bodiesOf(metering), limits, coding);
  if (operation.body === 'multipart') {
    const parts = readForm(bytes, request.headers['content-type']);
    const text = formText(parts, 'model', mostNameBytes);
    if (!text) throw new GatewayError('invalid_request', { message: 'model is required' });
    // A form is written once; a name in it is replaced only here.
    const model = names.meant(text, operation, caller.principal);
    const meant = model.sent === undefined ? parts : withText(parts, 'model', model.sent);
    const { parts: bound, changes: formChanges } = boundForm(meant, caller.principal.bounds);
    const { body, type } = replaceBody(exchange, bodiesOf(metering), limits.budget, formBytes(bound), () =>
      writeForm(bound),
    );
    const wanted = { body, bodyType: type, formChanges, promptEstimate: soundTokens(body.length) };
    return noted(exchange, bodiless(prechecked, [model], wanted));
  }
  return noted(exchange, readJson(prechecked, bytes, names));
}

/** From here on, the record has the request. */
function noted(exchange: Exchange, intent: Intended): Intended {
  exchange.streamed = intent.stream;
  exchange.notes.noteModel(intent.models[0]);
  return intent;
}

/**
 * Estimates the tokens of a recording: servers turn a second into 6 to 50 tokens and report none. A second has 2 KB if
 * strongly compressed and 32 KB if uncompressed.
 */
function soundTokens(bytes: number): number {
  return Math.ceil(bytes / 512);
}

/** A body parsed as JSON is sent as JSON: a form parser could find other fields in its texts. */
export const jsonType = 'application/json';

/**
 * Parses a JSON body. `promptTokens`: the size of the prompt, if a preview states it.
 * @throws GatewayError `not_json`, `ambiguous_json`, `invalid_request`.
 */
export function readJson(prechecked: Prechecked, bytes: Buffer, names: Meanings, promptTokens?: number): Intended {
  const { operation } = prechecked;
  const counts = prechecked.caller.principal.plan !== unlimited;
  const body = scanObject(bytes, counts ? countingOutline : outline);
  refuseUnsafe(body, bytes);
  const { models, registryModels } = readModels(prechecked, bytes, body, names);
  const stream = readStream(body, bytes, operation.streamDefault);
  const usageInjected = operation.reply.usageOnRequest && stream && !asksForUsage(body, bytes);
  const pictures = counts ? countImages(body, bytes) : noImages;
  const search = readServerTools(body, bytes);
  return {
    ...prechecked,
    models,
    registryModels,
    stream,
    leavesTheBox: search.forced || optionalText(body, bytes, 'remote_host') !== undefined,
    offeredServerTools: search.offered,
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

type Wanted = Pick<Intended, 'parameter' | 'mcp' | 'blobs' | 'body' | 'bodyType' | 'promptEstimate'>;

/** A call without a body, with a streamed one, or with one that is not JSON. */
export function bodiless(
  prechecked: Prechecked,
  models: readonly NamedModel[],
  wanted: Partial<Wanted> = {},
): Intended {
  return {
    ...prechecked,
    models,
    registryModels: [],
    stream: prechecked.operation.streamDefault === true,
    leavesTheBox: false,
    offeredServerTools: [],
    blobs: none,
    mcp: undefined,
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
/** Models turn an image into a few hundred tokens, whatever its size; Gemma 3 into 256, others into more. */
const imageTokens = 600;

/** Where a part of a message holds its image: OpenAI, Anthropic, other servers and MCP. */
const imageFieldNames = ['image_url', 'source', 'image', 'data'];

/**
 * Counts images wherever the three families put them. Only the image's own bytes are counted, so no byte is subtracted
 * from the text twice, and no text beside the image is.
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

/** Where servers look for texts to embed: llama-server reads `content` if there is no `input`, others read the rest. */
const inputNames = ['input', 'inputs', 'content', 'prompt'];

function countInputs(body: Body): number {
  let inputs = 0;
  for (const name of inputNames) {
    const value = given(body.members, name);
    if (value) inputs = Math.max(inputs, value.items ? value.items.length : 1);
  }
  return inputs;
}

/** Bytes over four is usual for English, and high for Japanese. Capped if image bytes are not counted apart. */
function estimatePromptTokens(bytes: number, imagesApart: boolean): number {
  return Math.min(Math.ceil(bytes / 4), imagesApart ? Infinity : 131_072);
}

/** The type of a tool or of a part of a message; undefined if it is missing, or longer than any known type. */
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
