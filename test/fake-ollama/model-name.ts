// Model names as Ollama reads them: trimmed, a source suffix removed, host, namespace and tag filled in, compared without
// case. Written from types/model/name.go and internal/modelref, and deliberately not shared with the gate: a fake with the
// gate's own parser could never catch it misreading a name.
import { goQuote } from './go-json.ts';

export interface ReadName {
  readonly host: string;
  readonly namespace: string;
  readonly model: string;
  readonly tag: string;
  readonly cloud: boolean;
}

/** `missing`: no name. `conflict` and `invalid`: in Ollama's own words. */
export type NameProblem = { readonly kind: 'missing' | 'conflict' | 'invalid'; readonly text: string };

export function readName(raw: string): ReadName | NameProblem {
  const trimmed = raw.trim();
  if (trimmed === '') return { kind: 'missing', text: 'model is required' };
  const { base, source } = peelSource(trimmed);
  if (source !== '' && peelSource(base).source !== '')
    return { kind: 'conflict', text: `use either :local or :cloud, not both: ${goQuote(trimmed)}` };
  return parseName(base, source === 'cloud') ?? { kind: 'invalid', text: 'invalid model name' };
}

export function isProblem(read: ReadName | NameProblem): read is NameProblem {
  return 'kind' in read;
}

export function sameModel(one: ReadName, other: ReadName): boolean {
  return key(one) === key(other);
}

/** The shortest spelling, always with a tag. */
export function displayName({ host, namespace, model, tag }: ReadName): string {
  if (host.toLowerCase() !== 'registry.ollama.ai') return `${host}/${namespace}/${model}:${tag}`;
  return namespace.toLowerCase() === 'library' ? `${model}:${tag}` : `${namespace}/${model}:${tag}`;
}

export function fullName({ host, namespace, model, tag }: ReadName): string {
  return `${host}/${namespace}/${model}:${tag}`;
}

function key(name: ReadName): string {
  return `${name.cloud ? 'cloud ' : ''}${fullName(name)}`.toLowerCase();
}

function peelSource(text: string): { base: string; source: '' | 'cloud' | 'local' } {
  const colon = text.lastIndexOf(':');
  if (colon < 0) return { base: text, source: '' };
  const suffix = text.slice(colon + 1).trim();
  const folded = suffix.toLowerCase();
  if (folded === 'cloud' || folded === 'local') return { base: text.slice(0, colon), source: folded };
  if (!suffix.includes('/') && folded.endsWith('-cloud'))
    return { base: text.slice(0, colon + 1) + suffix.slice(0, -'-cloud'.length), source: 'cloud' };
  return { base: text, source: '' };
}

function parseName(text: string, cloud: boolean): ReadName | undefined {
  let rest = text;
  let tag: string | undefined;
  if (rest.lastIndexOf(':') > rest.lastIndexOf('/')) [rest, tag] = cutLast(rest, ':');
  let model = rest;
  let namespace: string | undefined;
  let host: string | undefined;
  if (rest.includes('/')) {
    [rest, model] = cutLast(rest, '/');
    namespace = rest;
    if (rest.includes('/')) {
      [rest, namespace] = cutLast(rest, '/');
      host = rest.replace(/^[^:]*:\/\//, '');
    }
  }
  const name = {
    host: host ?? 'registry.ollama.ai',
    namespace: namespace ?? 'library',
    model,
    tag: tag ?? 'latest',
    cloud,
  };
  const valid =
    /^\w[\w.:-]{0,349}$/.test(name.host) &&
    /^\w[\w-]{0,79}$/.test(name.namespace) &&
    /^\w[\w.-]{0,79}$/.test(name.model) &&
    /^\w[\w.-]{0,79}$/.test(name.tag);
  return valid ? name : undefined;
}

function cutLast(text: string, separator: string): [string, string] {
  const at = text.lastIndexOf(separator);
  return [text.slice(0, at), text.slice(at + 1)];
}
