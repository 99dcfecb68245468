// The list of the kinds of model servers, and what follows from it: which kind a server is, and which fields of a body any
// kind reads.
import { NoList } from './json-route.ts';
import type { BodyFields, Listed, Reached, UpstreamKind } from './kind.ts';
import { ollama } from './kinds/ollama/ollama.ts';
import { openai } from './kinds/openai/openai.ts';

/** In the order in which a server is asked whether it is of that kind: what is recognised by less stands later. */
export const kinds: readonly [UpstreamKind, ...UpstreamKind[]] = [ollama, openai];

/** A server whose kind may not be known yet, and may change when another is started at its address. */
export interface Recognisable extends Reached {
  /** The first of the list as long as it is not known. */
  readonly kind: UpstreamKind;
  /** Undefined: it is not known any more. */
  recognise(kind: UpstreamKind | undefined): void;
}

/** Asks a server whether it answers, and for its models. @throws as `UpstreamKind.probe`. */
export const probeOf = (server: Recognisable, signal: AbortSignal): Promise<readonly Listed[]> =>
  firstList(server, (kind) => kind.probe(server, signal));

/** Asks a server for its models. @throws as `UpstreamKind.models`. */
export const modelsOf = (
  server: Recognisable,
  signal: AbortSignal,
  via: readonly string[],
): Promise<readonly Listed[]> => firstList(server, (kind) => kind.models(server, signal, via));

/** Asks from the kind that it was on. One that is of none of these is forgotten, and asked from the beginning next time. */
async function firstList(
  server: Recognisable,
  ask: (kind: UpstreamKind) => Promise<readonly Listed[] | undefined>,
): Promise<readonly Listed[]> {
  for (const kind of kinds.slice(kinds.indexOf(server.kind))) {
    const found = await ask(kind);
    if (!found) continue;
    server.recognise(kind);
    return found;
  }
  server.recognise(undefined);
  throw new NoList('it keeps no list of models');
}

const each = <Name extends keyof BodyFields>(name: Name): BodyFields[Name] =>
  // What a response says was changed is named in this order, the general names first.
  [...new Set(kinds.toReversed().flatMap(({ fields }) => (fields[name] ?? []) as readonly unknown[]))] as never;

/** The fields of all kinds. */
export const bodyFields: BodyFields = {
  lengths: each('lengths'),
  choices: each('choices'),
  reloadOptions: each('reloadOptions'),
  reloads: each('reloads'),
  templates: each('templates'),
  debug: each('debug'),
  capped: each('capped'),
};
