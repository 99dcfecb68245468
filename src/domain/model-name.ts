// Model names as Ollama reads them: `[host/][namespace/]model[:tag]`, compared after filling in defaults and folding
// case, so `llama3`, `library/llama3:latest` and `registry.ollama.ai/library/Llama3` are the same model. Source: Ollama
// types/model/name.go and its handling of the `:cloud` and `:local` suffixes (facts: ollama-api §2).

import { Glob } from './glob.ts';
import { Unreadable } from './sentences.ts';

export interface ModelName {
  /** Lower case, without defaults, always with a tag: the form that policies compare and ledgers store. */
  readonly canonical: string;
  /** The registry host in the name. */
  readonly host: string;
  /** Has a `:cloud` or `-cloud` suffix: Ollama forwards it to ollama.com on the operator's account. */
  readonly cloud: boolean;
}

/** Longer names are refused before they are stored: a name appears in errors, log lines and the ledger. */
export const mostNameBytes = 512;

export const defaultRegistryHost = 'registry.ollama.ai';
const defaultNamespace = 'library';
const hostPart = /^[a-z0-9_][a-z0-9_.:-]{0,349}$/;
const namespacePart = /^[a-z0-9_][a-z0-9_-]{0,79}$/;
const modelPart = /^[a-z0-9_][a-z0-9_.-]{0,79}$/;
/** A model and a tag that says nothing about its source, as most names are: its own canonical form. */
const plainForm = /^[a-z0-9_][a-z0-9_.-]{0,79}:(?!local$|cloud$)[a-z0-9_][a-z0-9_.-]{0,79}(?<!-cloud)$/;

/**
 * Parses a name as the caller spelled it. Returns undefined for anything outside the grammar: such a model cannot
 * exist, and an unreadable name cannot be compared. `:local` is removed as in Ollama (`m:8b:local` is `m:8b`). A cloud
 * source stays in the name, normalised to one spelling, so that a pattern for `m:8b` alone never opens the operator's
 * cloud account.
 */
export function parseModelName(text: string): ModelName | undefined {
  if (plainForm.test(text)) return { canonical: text, host: defaultRegistryHost, cloud: false };
  // ASCII only: toLowerCase maps the Kelvin sign to k, and such a spelling must not be accepted as k.
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
  // A scheme is only valid before a host.
  if (parts.length > 3 || (hasScheme && parts.length < 3)) return undefined;
  const last = parts.pop() as string;
  const namespace = parts.pop() ?? defaultNamespace;
  const host = parts.pop() ?? defaultRegistryHost;
  const colon = last.indexOf(':');
  const model = colon < 0 ? last : last.slice(0, colon);
  const { tag, cloud } = peelCloud(colon < 0 ? 'latest' : last.slice(colon + 1));
  if (!hostPart.test(host) || !namespacePart.test(namespace) || !modelPart.test(model) || !modelPart.test(tag))
    return undefined;
  // Ollama refuses a name that states its source twice, even if both agree.
  if (tag === 'local' || tag === 'cloud' || tag.endsWith('-cloud')) return undefined;
  if (cloud && local) return undefined;
  const prefix =
    host !== defaultRegistryHost ? `${host}/${namespace}/` : namespace !== defaultNamespace ? `${namespace}/` : '';
  const shown = !cloud ? tag : tag === 'latest' ? 'cloud' : `${tag}-cloud`;
  return { canonical: `${prefix}${model}:${shown}`, host, cloud };
}

/** `8b:cloud` and `8b-cloud` are the same tag and source; `cloud` alone means the tag `latest`. */
function peelCloud(text: string): { tag: string; cloud: boolean } {
  if (text === 'cloud') return { tag: 'latest', cloud: true };
  const tag = text.replace(/[:-]cloud$/, '');
  return { tag, cloud: tag !== text };
}

/** The most patterns in a list, and the longest pattern. */
export const mostPatterns = 200;
const longestPattern = 200;

/** Validates the patterns of a key or a plan before they are stored. @throws Error with a sentence. */
export function readPatterns(patterns: readonly string[]): readonly string[] {
  if (patterns.length > mostPatterns) throw new Unreadable('patterns_full', { most: mostPatterns });
  for (const pattern of patterns)
    if (pattern.length > longestPattern)
      throw new Unreadable('pattern_long', { pattern: pattern.slice(0, 40), most: longestPattern });
  new ModelPatterns(patterns);
  return patterns;
}

/** The canonical spelling, as the ledger has it; a text that is no name stays as it is. */
export const canonicalText = (text: string): string => parseModelName(text)?.canonical ?? text;

/** Compiled model patterns. `*` stands for any run of characters except `/`; a lone `*` matches everything. */
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

  /** Whether a pattern allows the model, or names this alias. A pattern with `*` names no alias: it was written for models. */
  allowAs(name: ModelName, alias: string): boolean {
    return this.#exact.has(alias) || this.allow(name);
  }

  allow(name: ModelName): boolean {
    return this.all || this.#exact.has(name.canonical) || this.#globs.some((glob) => glob.matches(name.canonical));
  }
}

function canonicalPattern(pattern: string): string {
  if (!pattern.includes('*')) {
    const name = parseModelName(pattern);
    if (!name) throw new Unreadable('pattern_name', { pattern });
    return name.canonical;
  }
  const text = pattern.trim().toLowerCase();
  if (text.length > longestPattern || !/^[a-z0-9_.:/*-]+$/.test(text))
    throw new Unreadable('pattern_shape', { pattern });
  const stripped = text.replace(`${defaultRegistryHost}/`, '').replace(/^library\//, '');
  return stripped.includes(':') || stripped.endsWith('*') ? stripped : `${stripped}:latest`;
}
