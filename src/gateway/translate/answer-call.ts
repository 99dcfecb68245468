// Answers a translated call that needs no generation, such as the details of a model: asks the server for its list of models, in
// the way of its kind, and writes what it says in the caller's dialect.
import { parseModelName } from '../../domain/model-name.ts';
import type { Listed } from '../../upstream/kind.ts';
import type { Exchange } from '../exchange.ts';
import { hasRoute } from '../model-facts.ts';
import { answerItself, type OwnAnswerTools } from '../own-answer.ts';
import type { Settled } from '../record.ts';
import type { Routed } from '../route.ts';
import { viaOf } from '../via.ts';

/** How long a server may take to list its models. */
const patienceMs = 5_000;

/** Undefined if the call goes to a server. @throws GatewayError if the call cannot be translated any more. */
export function answerCall(routed: Routed, exchange: Exchange, tools: OwnAnswerTools): Promise<Settled> | undefined {
  const { translation, candidates, operation, models } = routed;
  const [server] = candidates;
  if (!translation || !server || hasRoute(server, operation)) return undefined;
  const answer = translation.ownFor(server);
  if (!answer) return undefined;
  const [model] = models;
  const canonical = model?.name?.canonical;
  return answerItself(routed, exchange, tools, async (signal) => {
    const within = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
    const via = viaOf(exchange.request.headers);
    const text = await answer.own({
      model: model?.text ?? '',
      at: exchange.at,
      listed: async () => find(canonical, await server.kind.models(server, within, via)),
      isLoaded: async () => find(canonical, await server.kind.loaded(server, within, via)) !== undefined,
    });
    return Buffer.from(text);
  });
}

function find(canonical: string | undefined, list: readonly Listed[] | undefined): Listed | undefined {
  return list?.find(({ name }) => parseModelName(name)?.canonical === canonical);
}
