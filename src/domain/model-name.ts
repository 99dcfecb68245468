// Model names as Ollama reads them: `[host/][namespace/]model[:tag]`, compared after the defaults are filled in and
// case is folded, so that `llama3`, `library/llama3:latest` and `registry.ollama.ai/library/Llama3` are one model.
// Source: Ollama types/model/name.go and its `:cloud`/`:local` suffix handling (facts: ollama-api §2).

import { Glob } from './glob.ts';

export interface ModelName {
  /** Lower case, defaults dropped, always with a tag: what policies compare and ledgers store. */
  readonly canonical: string;
  /** Registry host that the name points at. */
  readonly host: string;
  /** A `:cloud` or `-cloud` suffix: Ollama answers it from ollama.com on the operator's account. */
  readonly cloud: boolean;
}

/** Longer texts are refused before they are kept or said: a name comes back in errors, log lines and the ledger. */
export const mostNameBytes = 512;

export const defaultRegistryHost = 'registry.ollama.ai';
const defaultNamespace = 'library';
const hostPart = /^[a-z0-9_][a-z0-9_.:-]{0,349}$/;
const namespacePart = /^[a-z0-9_][a-z0-9_-]{0,79}$/;
const modelPart = /^[a-z0-9_][a-z0-9_.-]{0,79}$/;

/**
 * Reads a name as the caller spelled it. Gives undefined for anything outside the grammar: such a model cannot exist,
 * and a name we cannot read is a name we cannot compare. `:local` is peeled off as Ollama does (`m:8b:local` is `m:8b`);
 * a cloud source stays part of the name, in one of its two spellings, so that a pattern for `m:8b` alone never opens the
 * operator's cloud account.
 */
export function parseModelName(text: string): ModelName | undefined {
  // Only ASCII ever gets past here: toLowerCase maps the Kelvin sign to k, and such a spelling must not pass as k.
  if (text.length > mostNameBytes || !/^[\x20-\x7e]+$/.test(text)) return undefined;
  const trimmed = text.trim().toLowerCase();
  let rest = trimmed.replace(/^https?:\/\//, '');
  const hasScheme = rest !== trimmed;
  let local = false;
  if (rest.endsWith(':local')) {
    rest = rest.slice(0, -':local'.length);
    local = true;
  }
  const parts = rest.split('/');
  // Only a host has a scheme.
  if (parts.length > 3 || (hasScheme && parts.length < 3)) return undefined;
  const last = parts.pop() as string;
  const namespace = parts.pop() ?? defaultNamespace;
  const host = parts.pop() ?? defaultRegistryHost;
  const colon = last.indexOf(':');
  const model = colon < 0 ? last : last.slice(0, colon);
  const { tag, cloud } = peelCloud(colon < 0 ? 'latest' : last.slice(colon + 1));
  if (!hostPart.test(host) || !namespacePart.test(namespace) || !modelPart.test(model) || !modelPart.test(tag))
    return undefined;
  // Where the source is said twice Ollama refuses, whatever the two say.
  if (tag === 'local' || tag === 'cloud' || tag.endsWith('-cloud')) return undefined;
  if (cloud && local) return undefined;
  const prefix =
    host !== defaultRegistryHost ? `${host}/${namespace}/` : namespace !== defaultNamespace ? `${namespace}/` : '';
  const shown = !cloud ? tag : tag === 'latest' ? 'cloud' : `${tag}-cloud`;
  return { canonical: `${prefix}${model}:${shown}`, host, cloud };
}

/** `8b:cloud` and `8b-cloud` are one tag at one source, and `cloud` alone is the latest there. */
function peelCloud(text: string): { tag: string; cloud: boolean } {
  if (text === 'cloud') return { tag: 'latest', cloud: true };
  const tag = text.replace(/[:-]cloud$/, '');
  return { tag, cloud: tag !== text };
}

/** How many patterns a list may hold, and how long each may be. */
export const mostPatterns = 200;
const longestPattern = 200;

/** Patterns of a key or a plan, before they are stored. @throws Error with a sentence. */
export function readPatterns(patterns: readonly string[]): readonly string[] {
  if (patterns.length > mostPatterns) throw new Error(`a list holds up to ${mostPatterns} model patterns`);
  for (const pattern of patterns)
    if (pattern.length > longestPattern)
      throw new Error(
        `"${pattern.slice(0, 40)}…" is not a model pattern: it has more than ${longestPattern} characters`,
      );
  new ModelPatterns(patterns);
  return patterns;
}

/** A key's model patterns, ready to be asked. `*` stands for any run of characters but `/`; a lone `*` for everything. */
export class ModelPatterns {
  readonly patterns: readonly string[];
  readonly #exact = new Set<string>();
  readonly #globs: Glob[] = [];
  readonly all: boolean;

  constructor(patterns: readonly string[]) {
    this.patterns = patterns;
    this.all = patterns.includes('*');
    for (const pattern of patterns) {
      const canonical = canonicalPattern(pattern);
      if (canonical.includes('*')) this.#globs.push(new Glob(canonical));
      else this.#exact.add(canonical);
    }
  }

  allow(name: ModelName): boolean {
    return this.all || this.#exact.has(name.canonical) || this.#globs.some((glob) => glob.matches(name.canonical));
  }
}

function canonicalPattern(pattern: string): string {
  if (!pattern.includes('*')) {
    const name = parseModelName(pattern);
    if (!name) throw new Error(`"${pattern}" is not a model name`);
    return name.canonical;
  }
  const text = pattern.trim().toLowerCase();
  if (text.length > longestPattern || !/^[a-z0-9_.:/*-]+$/.test(text))
    throw new Error(`"${pattern}" is not a model pattern`);
  const stripped = text.replace(`${defaultRegistryHost}/`, '').replace(/^library\//, '');
  return stripped.includes(':') || stripped.endsWith('*') ? stripped : `${stripped}:latest`;
}
