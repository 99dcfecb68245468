// A request as an endpoint sees it: the tools of the router, the parsed input, and the caller, in one object.
import type { Request, Response } from 'express';
import type { KeyId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';
import { type Authentication, addressOf, type Caller } from './authenticate.ts';
import type { AnyCall, Call, Endpoint, RequestContext } from './endpoint.ts';
import { languageOf } from './problem.ts';
import type { SharedAnswers } from './send.ts';

export interface ApiTools extends RequestContext {
  readonly authentication: Authentication;
  readonly endpoints: readonly Endpoint[];
  /** Public documents. */
  readonly shared: SharedAnswers;
  /** Called when a call was made with a key, whatever its result. */
  readonly onKeyUse: (id: KeyId, at: WallMs) => void;
  /** Called after a change, because caches of the data plane may be outdated. */
  readonly onChange: () => void;
  readonly onError: (error: unknown, requestId: string) => void;
}

/** The input, as parsed by the schemas of the endpoint. */
export interface Asked {
  readonly query: unknown;
  readonly body: unknown;
}

export function callOf(
  tools: ApiTools,
  caller: Caller,
  asked: Asked,
  request: Request,
  response: Response,
  decide: AnyCall['decide'] = readsOnly,
): AnyCall {
  const call: Call<Record<string, string>, unknown, unknown> = {
    ...tools,
    ...asked,
    address: addressOf(request, tools.authentication),
    language: languageOf(request),
    caller,
    decide,
    openSession: async (id) => {
      const from = {
        address: addressOf(request, tools.authentication),
        userAgent: (request.headers['user-agent'] ?? '').slice(0, 500),
      };
      response.append('set-cookie', [...(await tools.signIn.openSession(id, from))]);
    },
    author: {
      // In a view nothing is written; if it were, it would be the operator who did it.
      actor: caller.view
        ? `person:${caller.view.operatorId}`
        : caller.key
          ? `key:${caller.key.id}`
          : caller.person
            ? `person:${caller.person.id}`
            : 'anybody',
      at: tools.now(),
    },
    params: request.params as Record<string, string>,
  };
  return call as AnyCall;
}

const readsOnly: AnyCall['decide'] = () => Promise.reject(new Error('a row that only reads decides nothing'));
