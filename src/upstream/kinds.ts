// The list of the kinds of model servers. It decides which kind a server is, and collects the fields of a body that any kind
// reads.
import { NoList, Refused } from './json-route.ts';
import type { BodyFields, Listed, Reached, UpstreamKind } from './kind.ts';
import { anthropic } from './kinds/anthropic/anthropic.ts';
import { llamaServer } from './kinds/llama-server/llama-server.ts';
import { lmstudio } from './kinds/lmstudio/lmstudio.ts';
import { ollama } from './kinds/ollama/ollama.ts';
import { openai } from './kinds/openai/openai.ts';
import { sglang } from './kinds/sglang/sglang.ts';
import { vllm } from './kinds/vllm/vllm.ts';

/** In the order in which a server is tried as each kind. A kind that is recognized by less evidence comes later. */
export const kinds: readonly [UpstreamKind, ...UpstreamKind[]] = [
  ollama,
  llamaServer,
  vllm,
  sglang,
  lmstudio,
  anthropic,
  openai,
];

/** Undefined for a name that no kind has. */
export const kindNamed = (name: string): UpstreamKind | undefined => kinds.find((kind) => kind.name === name);

/** A server whose kind may be unknown, and changes when a server of another kind starts at its address. */
export interface Recognizable extends Reached {
  /** The first of the list while it is unknown. */
  readonly kind: UpstreamKind;
  /** Undefined while it is unknown. */
  readonly kindName: string | undefined;
  /** The kind that an operator gave it: the server is asked as no other. */
  readonly givenKind?: UpstreamKind | undefined;
  /** Undefined: it is unknown again. */
  recognize(kind: UpstreamKind | undefined): void;
}

/** Whether a server answers, and its models. @throws as `UpstreamKind.probe`. */
export const probeOf = (server: Recognizable, signal: AbortSignal): Promise<readonly Listed[]> =>
  firstList(server, (kind, asked) => kind.probe(asked, signal));

/** The models of a server. @throws as `UpstreamKind.models`. */
export const modelsOf = (
  server: Recognizable,
  signal: AbortSignal,
  via: readonly string[],
): Promise<readonly Listed[]> => firstList(server, (kind, asked) => kind.models(asked, signal, via));

/** Tries the kind that the server had, then the later ones. If none fits, the next call tries all kinds again. */
async function firstList(
  server: Recognizable,
  ask: (kind: UpstreamKind, server: Reached) => Promise<readonly Listed[] | undefined>,
): Promise<readonly Listed[]> {
  const { givenKind: given, dispatcher, basePath, credentials } = server;
  const asked = { dispatcher, basePath, credentials, read: new Map<string, Promise<unknown>>() };
  let unread: NoList | undefined;
  for (const kind of given ? [given] : kinds.slice(kinds.indexOf(server.kind))) {
    const found = await ask(kind, asked).catch((error: unknown) => {
      // While its kind is unknown, another one may ask for another list, or in another way.
      if (!(error instanceof NoList) || server.kindName !== undefined) throw error;
      unread = error;
      return null;
    });
    if (!found) {
      // It refuses routes that it does not have, not the gateway.
      if (found === undefined && unread instanceof Refused) unread = undefined;
      continue;
    }
    server.recognize(kind);
    return found;
  }
  if (unread) throw unread;
  server.recognize(undefined);
  throw new NoList(given ? `it does not answer as ${given.name} does` : 'it has no list of models');
}

const each = <Name extends keyof BodyFields>(name: Name): BodyFields[Name] =>
  // X-Sekisho-Changed names fields in this order, so the general kind comes first.
  [...new Set(kinds.toReversed().flatMap(({ fields }) => (fields[name] ?? []) as readonly unknown[]))] as never;

/** The fields of all kinds together. */
export const bodyFields: BodyFields = {
  lengths: each('lengths'),
  choices: each('choices'),
  reloadOptions: each('reloadOptions'),
  reloads: each('reloads'),
  templates: each('templates'),
  templateArguments: each('templateArguments'),
  grammars: each('grammars'),
  deferred: each('deferred'),
  debug: each('debug'),
  shared: each('shared'),
  capped: each('capped'),
};

const { reloadOptions: _, capped, ...inBody } = bodyFields;

/** The names of all fields that stand in the body itself. */
export const namedFields: readonly string[] = [...Object.values(inBody).flat(), ...capped.map(([name]) => name)];
