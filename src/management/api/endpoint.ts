// One row of the management API: method, path, who may, what goes in, what comes out, what is done. The router, the
// OpenAPI document and the reference page are all made from these rows.
import type { z } from 'zod';
import type { Author } from '../../domain/audit.ts';
import type { Store } from '../../store/ports.ts';
import type { Caller, FailureBudget, Needs } from './authenticate.ts';

export type Method = 'get' | 'post' | 'patch' | 'delete';

export interface LiveStatus {
  readonly accepting: boolean;
  readonly running: number;
  readonly queues: readonly { model: string; running: number; waiting: number; accounts: number }[];
  readonly upstreams: readonly { name: string; up: boolean | null; inFlight: number }[];
}

/** What every row gets to work with. */
export interface Desk {
  readonly store: Store;
  readonly timeZone: string;
  /** What the data plane does now. */
  readonly live: () => LiveStatus;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Counts applications by address. */
  readonly applications: FailureBudget;
}

export interface Call<P, Q, B> extends Desk {
  readonly caller: Caller;
  readonly author: Author;
  readonly address: string;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

export interface Endpoint {
  readonly method: Method;
  /** With {name} for a parameter. */
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  readonly needs: Needs;
  readonly query: z.ZodObject | undefined;
  readonly body: z.ZodType | undefined;
  /** Undefined: 204 and no body. */
  readonly answer: z.ZodType | undefined;
  /** It makes something: 201, and an Idempotency-Key may stand in its head. */
  readonly creates: boolean;
  /** What stands there now, for If-Match; undefined where there is nothing to compare. */
  readonly before: ((call: Call<Record<string, string>, never, never>) => Promise<unknown>) | undefined;
  /** What a repeated creation gives: the thing by its id. */
  readonly again: ((call: Desk, id: string) => Promise<unknown>) | undefined;
  readonly run: (call: Call<Record<string, string>, never, never>) => Promise<unknown>;
}

interface Row<Q extends z.ZodRawShape, B extends z.ZodType, A extends z.ZodType> {
  readonly summary: string;
  readonly group: string;
  readonly needs: Needs;
  readonly query?: z.ZodObject<Q>;
  readonly body?: B;
  readonly answer?: A;
  readonly creates?: boolean;
  readonly before?: (call: Call<Record<string, string>, never, never>) => Promise<unknown>;
  readonly again?: (call: Desk, id: string) => Promise<z.output<A>>;
  readonly run: (
    call: Call<Record<string, string>, z.output<z.ZodObject<Q>>, z.output<B>>,
  ) => Promise<z.output<A> | undefined>;
}

/** Puts a row together; `place` is `get /keys/{id}`. */
export function endpoint<Q extends z.ZodRawShape, B extends z.ZodType, A extends z.ZodType>(
  name: string,
  place: `${Method} /${string}`,
  row: Row<Q, B, A>,
): Endpoint {
  const [method, path] = place.split(' ') as [Method, string];
  const { query, body, answer, creates = false, before, again } = row;
  const { summary, group, needs, run } = row;
  const made = { name, method, path, summary, group, needs, query, body, answer, creates, before, again, run };
  return made;
}
