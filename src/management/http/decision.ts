// One call of the management API: the caller's rights, If-Match, Idempotency-Key and the use case, which the router runs in one
// transaction of the store.

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
 * Runs the use case if the caller is still allowed to: time has passed between head and body. `tools.store` is that of the
 * transaction.
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
  const call = callOf(tools, caller, asked, request, response, decideOf(row, tools, caller, request));
  if (typeof row.fresh === 'function' && !caller.fresh && (await row.fresh(call))) throw new Problem('sign_in_again');
  await refuseBound(row, call);
  const seen = request.headers['if-match'];
  if (row.creates) return createOnce(row, call, request.headers['idempotency-key'], seen);
  await refuseStale(row, call, seen);
  return { status: 200, body: await row.run(call) };
}

/** For a row that makes several decisions: the caller's right is checked again in the transaction of each. */
const decideOf =
  ({ needs, fresh }: Endpoint, tools: ApiTools, caller: Caller, request: Request): AnyCall['decide'] =>
  (work) =>
    tools.store.atomically(async (store) => {
      refuseUnentitled(await stillStands(caller, request, tools.authentication, store), needs, fresh === 'always');
      return work(store);
    });

/** A key cannot grant more than it has. @throws Problem `forbidden`. */
async function refuseBound({ boundKeys }: Endpoint, call: AnyCall): Promise<void> {
  const { key } = call.caller;
  if (!key || boundKeys === 'may' || !isBound(key)) return;
  if (typeof boundKeys === 'function' && (await boundKeys(call))) return;
  throw new Problem('forbidden', {
    said: say('key_is_bound', {}),
  });
}

/** The ETag of a representation: it changes if and only if the representation does. */
export function etagOf(body: unknown): string {
  return `"${digestOf(JSON.stringify(body)).slice(0, 24)}"`;
}

/** The tag of the same in another coding, which needs one of its own (RFC 9110, section 8.8.3.3). */
export const codedTag = (etag: string): string => `${etag.slice(0, -1)}-gzip"`;

/** If-Match (RFC 9110 §13.1.1): the change applies to the version that the caller has seen, or not at all. */
async function refuseStale(row: Endpoint, call: AnyCall, ifMatch: string | undefined): Promise<void> {
  if (ifMatch === undefined || ifMatch === '*' || !row.before) return;
  const current = etagOf(await row.before(call));
  const tags = ifMatch.split(',').map((tag) => tag.trim());
  if (!tags.includes(current) && !tags.includes(codedTag(current))) throw new Problem('precondition_failed');
}

/**
 * With an Idempotency-Key, a creation happens once, however often it is sent; a secret is shown the first time only. The claim
 * of the key and the creation are one transaction. Returns 200 if it was created before.
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
  // A repeated creation was already checked against the version that the caller had seen.
  await refuseStale(row, call, seen);
  const made = await row.run(call);
  await store.finishRepeatable(keyId, name, row.madeAs(made));
  return { status: 201, body: made };
}
