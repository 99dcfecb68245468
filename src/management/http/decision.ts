// One call of the management API as one decision: the caller's right, If-Match, Idempotency-Key and the use case itself, which
// the router runs in one transaction of the store.

import type { Request, Response } from 'express';
import { digestOf } from '../../domain/api-key.ts';
import { isBound } from '../../domain/key-bounds.ts';
import { say } from '../../domain/sentences.ts';
import { anybody, type Caller, refuseUnentitled, stillStands } from './authenticate.ts';
import { type ApiTools, type Asked, callOf } from './call.ts';
import type { AnyCall, Endpoint } from './endpoint.ts';
import { Problem } from './problem.ts';

export interface Done {
  readonly status: 200 | 201;
  readonly body: unknown;
}

/**
 * Does it, if the caller still may: the body has taken its time since the head was looked at, and `tools.store` is that of
 * the transaction in which it is done.
 */
export async function carryOut(
  row: Endpoint,
  tools: ApiTools,
  before: Caller,
  asked: Asked,
  request: Request,
  response: Response,
): Promise<Done> {
  const caller = row.method === 'get' ? before : await stillStands(before, request, tools.authentication, tools.store);
  refuseUnentitled(caller, row.needs, row.fresh === 'always');
  const call = callOf(tools, caller, asked, request, response);
  if (typeof row.fresh === 'function' && !caller.fresh && (await row.fresh(call))) throw new Problem('sign_in_again');
  await refuseBound(row, call);
  const seen = request.headers['if-match'];
  if (row.creates) return createOnce(row, call, request.headers['idempotency-key'], seen);
  await refuseStale(row, call, seen);
  return { status: 200, body: await row.run(call) };
}

/** No authority grows through a key. @throws Problem `forbidden`. */
async function refuseBound({ boundKeys }: Endpoint, call: AnyCall): Promise<void> {
  const { key } = call.caller;
  if (!key || boundKeys === 'may' || !isBound(key)) return;
  if (typeof boundKeys === 'function' && (await boundKeys(call))) return;
  throw new Problem('forbidden', {
    said: say('key_is_bound', {}),
  });
}

/** The representation's own name: it changes when, and only when, what stands there does. */
export function etagOf(body: unknown): string {
  return `"${digestOf(JSON.stringify(body)).slice(0, 24)}"`;
}

/** If-Match (RFC 9110 §13.1.1): the change is made to what the caller has seen, or not at all. */
async function refuseStale(row: Endpoint, call: AnyCall, ifMatch: string | undefined): Promise<void> {
  if (ifMatch === undefined || ifMatch === '*' || !row.before) return;
  const current = etagOf(await row.before(call));
  if (!ifMatch.split(',').some((tag) => tag.trim() === current)) throw new Problem('precondition_failed');
}

/**
 * With an Idempotency-Key a creation happens once, however often it is sent; a secret is shown the first time only. The
 * claim of the name and the creation are one transaction, so that neither is there without the other. 200: it was there
 * already.
 */
async function createOnce(
  row: Endpoint,
  call: AnyCall,
  name: string | string[] | undefined,
  seen: string | undefined,
): Promise<Done> {
  if (typeof name !== 'string' || !row.again || call.caller === anybody) {
    await refuseStale(row, call, seen);
    return { status: 201, body: await row.run(call) };
  }
  if (!/^[\x21-\x7e]{1,200}$/.test(name)) throw new Problem('invalid', { said: say('idempotency_key', {}) });
  const { store, caller, author } = call;
  const keyId = caller.id;
  const digest = digestOf(`${row.name} ${JSON.stringify(call.params)} ${JSON.stringify(call.body)}`);
  const taken = await store.claimRepeatable({ keyId, name, digest, at: author.at, made: null });
  if (taken) {
    if (taken.digest !== digest) throw new Problem('repeat_differs');
    if (taken.made !== null) return { status: 200, body: await row.again(call, taken.made) };
  }
  // What was made already was made to what the caller had seen then.
  await refuseStale(row, call, seen);
  const made = await row.run(call);
  await store.finishRepeatable(keyId, name, row.madeAs(made));
  return { status: 201, body: made };
}
