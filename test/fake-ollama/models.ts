// The routes about models and the server itself: lists, details, pull, push, copy and delete, blobs, the account. Nothing
// here changes `fake.models`: copying and deleting are answered, but the test decides which models there are.
import { createHash } from 'node:crypto';
import { type Call, fail, findModel, isBare, json, ndjson, type Route, reply, startStream, textOf } from './call.ts';
import type { FakeModel } from './fake-ollama.ts';
import { type GoObject, goJson, goQuote, isObject } from './go-json.ts';
import { displayName, fullName, isProblem, type ReadName, readName } from './model-name.ts';
import { noModel, notFound } from './native.ts';
import { recorded, recordedJson } from './recordings.ts';

/** The recorded model; everything about it is answered as recorded. */
const recordedModel = 'gemma3:270m';

export function modifiedAt(model: FakeModel): string {
  return model.modifiedAt ?? String(entryOf('tags')['modified_at']);
}

function entryOf(recording: 'tags' | 'ps'): GoObject {
  const entries = recordedJson(recording, 0)['models'];
  const [entry] = (Array.isArray(entries) ? entries : []) as GoObject[];
  return entry ?? {};
}

/** The recorded entry with the test's facts about this model; remote names have their place in the middle. */
function listEntry(model: FakeModel, recording: 'tags' | 'ps'): GoObject {
  const { name, remoteHost, remoteModel } = model;
  const { name: _, model: __, ...rest } = entryOf(recording);
  const remote =
    remoteHost === undefined || recording === 'ps'
      ? {}
      : { remote_model: remoteModel ?? name, remote_host: remoteHost };
  const own: GoObject = { ...remote, ...rest, details: details(model, rest['details']) };
  if (isBare(model)) for (const key of ['details', 'capabilities']) delete own[key];
  if (recording === 'tags') {
    own['modified_at'] = modifiedAt(model);
    own['size'] = model.sizeBytes ?? rest['size'];
    if (model.capabilities) own['capabilities'] = model.capabilities;
  } else if (model.contextLength !== undefined) own['context_length'] = model.contextLength;
  own['digest'] =
    model.digest ?? (name === recordedModel ? rest['digest'] : createHash('sha256').update(name).digest('hex'));
  return { name, model: name, ...own };
}

function details(model: FakeModel, template: unknown): GoObject {
  const family = model.family === undefined ? {} : { family: model.family, families: [model.family] };
  const size = model.parameterSize === undefined ? {} : { parameter_size: model.parameterSize };
  const level = model.quantization === undefined ? {} : { quantization_level: model.quantization };
  return { ...(isObject(template) ? template : {}), ...family, ...size, ...level };
}

export const tags: Route = (call) =>
  reply(call, 200, json, goJson({ models: call.fake.models.map((model) => listEntry(model, 'tags')) }));

export const ps: Route = (call) => {
  const there = call.fake.models.filter(({ name, loaded }) => loaded !== false || call.fake.inMemory.has(name));
  const entryIn = (model: FakeModel): GoObject => {
    const contextLength = call.fake.inMemory.get(model.name);
    return listEntry(contextLength === undefined ? model : { ...model, contextLength }, 'ps');
  };
  return reply(call, 200, json, goJson({ models: there.map(entryIn) }));
};

export const show: Route = (call) => {
  const raw = call.body['model'] || call.body['name'];
  const found = findModel(call, raw, { noName: noModel, notThere: (read) => notFound(displayName(read)) });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  const { name, remoteHost, remoteModel, capabilities } = found.model;
  const template = JSON.parse(
    recorded('show').chunks.join('').replaceAll(`FROM ${recordedModel}`, `FROM ${name}`),
  ) as GoObject;
  const remote = remoteHost === undefined ? {} : { remote_model: remoteModel ?? name, remote_host: remoteHost };
  const own = {
    details: details(found.model, template['details']),
    ...(capabilities ? { capabilities } : {}),
    ...(found.model.parameters === undefined ? {} : { parameters: found.model.parameters }),
    modified_at: modifiedAt(found.model),
  };
  return reply(call, 200, json, goJson({ ...template, ...own, ...remote }));
};

export const status: Route = (call) => reply(call, 200, json, goJson({ cloud: call.fake.cloud }));

export const pull: Route = (call) => {
  const read = readName(textOf(call.body['model'] || call.body['name']));
  if (isProblem(read)) return fail(call, 400, read.kind === 'missing' ? 'invalid model name' : read.text);
  if (call.fake.pullError !== undefined)
    return progress(call, [{ status: 'pulling manifest' }], `pull model manifest: ${call.fake.pullError}`);
  const digest = `sha256:${createHash('sha256').update(fullName(read)).digest('hex')}`;
  const layer = { status: `pulling ${digest.slice(7, 19)}`, digest, total: 1000 };
  return progress(call, [
    { status: 'pulling manifest' },
    layer,
    { ...layer, completed: 400 },
    { ...layer, completed: 1000 },
    { status: 'verifying sha256 digest' },
    { status: 'writing manifest' },
    { status: 'success' },
  ]);
};

export const push: Route = (call) => {
  const raw = call.body['model'] || call.body['name'];
  if (typeof raw !== 'string') return fail(call, 400, 'model is required');
  const found = findModel(call, raw, { noName: noModel, notThere: unreadable });
  const start = { status: 'retrieving manifest' };
  if ('missing' in found)
    return progress(call, [start, { status: "couldn't retrieve manifest" }], found.missing.message);
  return progress(call, [start, { status: 'pushing manifest' }, { status: 'success' }]);
};

function unreadable({ host, namespace, model, tag }: ReadName): { status: number; message: string } {
  const file = `/root/.ollama/models/manifests/${host}/${namespace}/${model}/${tag}`;
  return { status: 500, message: `open ${file}: no such file or directory` };
}

export const create: Route = (call) => {
  const { body } = call;
  if (isProblem(readName(textOf(body['model'] || body['name'])))) return fail(call, 400, 'invalid model name');
  if (!body['from'] && !body['files']) return failAsStream(call, 400, "neither 'from' or 'files' was specified");
  return progress(
    call,
    recorded('create').chunks.map((line) => JSON.parse(line) as GoObject),
  );
};

/**
 * One line each, or only the last one if no stream is wanted; an error ends it, with status 500 unless told otherwise.
 */
async function progress(call: Call, lines: readonly GoObject[], error?: string): Promise<void> {
  if (call.body['stream'] === false)
    return error === undefined
      ? reply(call, 200, { 'Content-Type': 'application/json' }, goJson(lines.at(-1)))
      : failBeforeStream(call, 500, error);
  startStream(call, ndjson);
  for (const line of error === undefined ? lines : [...lines, { error }]) await call.answer.chunk(`${goJson(line)}\n`);
  return call.answer.end();
}

/** The first thing in a stream: a status can still be sent, but the framing is already that of a stream. */
function failAsStream(call: Call, code: number, error: string): Promise<void> | void {
  if (call.body['stream'] === false) return failBeforeStream(call, code, error);
  call.answer.head(code, { 'Content-Type': 'application/json', ...call.extra });
  return call.answer.chunk(goJson({ error })).then(() => call.answer.end());
}

/** These handlers set their content type before they fail; gin keeps it, so the charset is missing. */
function failBeforeStream(call: Call, code: number, error: string): Promise<void> {
  return reply(call, code, { 'Content-Type': 'application/json' }, goJson({ error }));
}

export const copy: Route = (call) => {
  const { source, destination } = call.body;
  const from = typeof source === 'string' ? source : '';
  const to = typeof destination === 'string' ? destination : '';
  if (isProblem(readName(from))) return fail(call, 400, `source ${goQuote(from)} is invalid`);
  if (isProblem(readName(to))) return fail(call, 400, `destination ${goQuote(to)} is invalid`);
  const found = findModel(call, from, {
    noName: noModel,
    notThere: () => ({ status: 404, message: `model ${goQuote(from)} not found` }),
  });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  return reply(call, 200, {}, '');
};

export const remove: Route = (call) => {
  const raw = call.body['model'] || call.body['name'];
  const invalid = { status: 400, message: `name ${goQuote(textOf(raw))} is invalid` };
  const read = readName(textOf(raw));
  if (isProblem(read) && read.kind === 'invalid') return fail(call, invalid.status, invalid.message);
  const found = findModel(call, raw, { noName: noModel, notThere: () => notFound(raw) });
  if ('missing' in found) return fail(call, found.missing.status, found.missing.message);
  return reply(call, 200, {}, '');
};

const digestOf = ({ path }: Call): string => path.slice('/api/blobs/'.length);
const isDigest = (digest: string): boolean => /^sha256[:-][0-9a-fA-F]{64}$/.test(digest);

export const headBlob: Route = (call) => {
  const digest = digestOf(call);
  if (!isDigest(digest)) return fail(call, 400, 'invalid digest format');
  if (!call.fake.blobs.has(digest.replace('-', ':'))) return fail(call, 404, `blob ${goQuote(digest)} not found`);
  return reply(call, 200, {}, '');
};

export const postBlob: Route = async (call) => {
  const digest = digestOf(call);
  if (!isDigest(digest)) return fail(call, 400, 'invalid digest format');
  // The body of a blob that exists is not even read.
  if (call.fake.blobs.has(digest.replace('-', ':'))) return reply(call, 200, {}, '');
  const bytes = await call.request.body;
  const got = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  if (got !== digest) return fail(call, 400, `digest mismatch, expected ${goQuote(digest)}, got ${goQuote(got)}`);
  call.fake.blobs.set(digest, bytes.length);
  return reply(call, 201, {}, '');
};

/** The recorded servers could not reach ollama.com, so only this much is known to the byte. */
export const me: Route = (call) => fail(call, recorded('me').status, String(recordedJson('me', 0)['error']));
export const signout: Route = (call) => reply(call, 200, json, 'null');
