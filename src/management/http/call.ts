// A request to a row as the row sees it: what the router works with, what was sent, and who calls, in one object.
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
  /** Documents that anybody may read. */
  readonly shared: SharedAnswers;
  /** A call was made with a key, whatever becomes of it. */
  readonly onKeyUse: (id: KeyId, at: WallMs) => void;
  /** Something was changed: what the data plane remembers may be old. */
  readonly onChange: () => void;
  readonly onError: (error: unknown, requestId: string) => void;
}

/** What was sent, as the schemas of the row read it. */
export interface Asked {
  readonly query: unknown;
  readonly body: unknown;
}

export function callOf(tools: ApiTools, caller: Caller, asked: Asked, request: Request, response: Response): AnyCall {
  const call: Call<Record<string, string>, unknown, unknown> = {
    ...tools,
    ...asked,
    address: addressOf(request, tools.authentication),
    language: languageOf(request),
    caller,
    openSession: async (id) => {
      const from = {
        address: addressOf(request, tools.authentication),
        userAgent: (request.headers['user-agent'] ?? '').slice(0, 500),
      };
      response.append('set-cookie', [...(await tools.signIn.openSession(id, from))]);
    },
    author: {
      actor: caller.key ? `key:${caller.key.id}` : caller.person ? `person:${caller.person.id}` : 'anybody',
      at: tools.now(),
    },
    params: request.params as Record<string, string>,
  };
  return call as AnyCall;
}
