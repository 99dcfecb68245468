// The list of targets, with the parsers in src/ that guide each of them. A target is the file of its name in targets/, and
// its corpus the folder of its name in corpus/.
import { join } from 'node:path';
import type { Target } from './target.ts';

/** By file, the minimum share of its blocks that the corpus reaches; other targets cover the rest of a file. */
const parsers = {
  path: { 'gateway/operation.ts': 0.85 },
  head: {
    'gateway/receive.ts': 0.75,
    'gateway/ask.ts': 0.7,
    'gateway/identity/credential.ts': 0.8,
    'gateway/identify.ts': 0.65,
    'upstream/headers.ts': 0.45,
  },
  key: { 'domain/api-key.ts': 0.9 },
  json: { 'gateway/payload/strict-json.ts': 0.95 },
  body: {
    'gateway/intent.ts': 0.6,
    'gateway/apply-plan.ts': 0.8,
    'gateway/answer-length.ts': 0.75,
    'gateway/server-tools.ts': 0.8,
  },
  meter: {
    'gateway/meter/meter.ts': 0.8,
    'gateway/dialects/ollama/meter.ts': 0.6,
    'gateway/dialects/openai/meter.ts': 0.8,
    'gateway/dialects/anthropic/meter.ts': 0.75,
    'gateway/meter/meter-events.ts': 0.75,
    'gateway/meter/meter-whole.ts': 0.8,
    'gateway/meter/token-counts.ts': 0.9,
    'gateway/payload/json-scalars.ts': 0.8,
    'gateway/payload/line-reader.ts': 0.85,
  },
  usage: { 'gateway/answer/usage-filter.ts': 0.9 },
  answer: { 'upstream/headers.ts': 0.6 },
  credentials: { 'domain/credential-lines.ts': 0.7, 'upstream/credentials.ts': 0.4, 'upstream/screen.ts': 0.5 },
  model: { 'domain/model-name.ts': 0.95, 'domain/glob.ts': 0.9 },
  form: { 'gateway/payload/multipart.ts': 0.9 },
  frames: { 'gateway/websocket/frame-reader.ts': 0.9 },
  address: { 'domain/address.ts': 0.9 },
} as const satisfies Record<string, Record<string, number>>;

export type TargetName = keyof typeof parsers;
export const targetNames = Object.keys(parsers) as TargetName[];

const source = join(import.meta.dirname, '../../src');

/** Shows that the engine's guidance works; it is not a parser of the gate. */
export const planted = 'planted';

export function isTarget(name: string): name is TargetName {
  return Object.hasOwn(parsers, name);
}

/** Absolute paths. */
export function parsersOf(name: string): readonly string[] {
  if (name === planted) return [join(import.meta.dirname, 'planted-parser.ts')];
  return isTarget(name) ? Object.keys(parsers[name]).map((file) => join(source, file)) : [];
}

/** For each of them, in the same order. */
export function leastSharesOf(name: TargetName): readonly number[] {
  return Object.values(parsers[name]);
}

export async function loadTarget(name: string): Promise<Target> {
  const module = (await import(`./targets/${name}.ts`)) as { readonly target: Target };
  return module.target;
}
