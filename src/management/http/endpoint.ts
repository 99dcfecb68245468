// One row of the management API: method, path, who may, what goes in, what comes out, what is done. The router, the
// OpenAPI document and the reference page are all made from these rows.
import type { z } from 'zod';
import type { Author } from '../../domain/audit.ts';
import type { PersonId } from '../../domain/id.ts';
import type { Introspection } from '../../domain/introspection.ts';
import type { Language } from '../../domain/person.ts';
import type { RouteIntrospection } from '../../domain/route-status.ts';
import type { ServerIntrospection } from '../../domain/server-status.ts';
import type { MonotonicMs, WallMs } from '../../domain/time.ts';
import type { Connections } from '../overview/connections.ts';
import type { EncryptionNow } from '../overview/encryption.ts';
import type { OnboardingContext } from '../people/onboarding.ts';
import type { RouteRules } from '../routes/route-rules.ts';
import type { ServerRules } from '../servers/server-rules.ts';
import type { Caller, FailureBudget, Needs } from './authenticate.ts';
import type { PaceName } from './pace.ts';

export type Method = 'get' | 'post' | 'patch' | 'delete';

/** What every row gets to work with. */
export interface RequestContext extends OnboardingContext {
  readonly timeZone: string;
  readonly encryption: {
    readonly exposed: boolean;
    readonly authority: () => string | null;
    readonly now: () => EncryptionNow;
  };
  /** How the mail server and the providers answered last. */
  readonly connections: Pick<Connections, 'look'>;
  /** What the gate calls itself. */
  readonly gateName: string;
  /** Whether everybody may see how the models are. */
  readonly hasStatusPage: boolean;
  /** What the data plane does now. */
  readonly introspection: Introspection;
  /** The model servers of this gate now, and what the settings say about those that are added. */
  readonly servers: ServerIntrospection;
  readonly serverRules: ServerRules;
  /** The published services of this gate now, and what the settings say about those that are added. */
  readonly routes: RouteIntrospection;
  readonly routeRules: () => RouteRules;
  readonly now: () => WallMs;
  readonly nowMs: () => MonotonicMs;
  /** Refused tries that were counted and not yet written into the audit log. */
  readonly refused: { readonly flush: () => Promise<void> };
  /** Counts applications by address. */
  readonly applications: FailureBudget;
}

export interface Call<P, Q, B> extends RequestContext {
  readonly caller: Caller;
  /** Opens a session for somebody whose right to it was shown. */
  readonly openSession: (id: PersonId) => Promise<void>;
  readonly author: Author;
  /** What the caller reads best. */
  readonly language: Language;
  readonly address: string;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

/** A call whose query and body its row reads by itself. */
export type AnyCall = Call<Record<string, string>, never, never>;

/**
 * Must a person have signed in a few minutes ago? `always` where it is felt or gives power away, or where the call says
 * so; `never` for reading, for one's own little things, and for what only takes power away.
 */
export type Fresh = 'always' | 'never' | ((call: AnyCall) => boolean | Promise<boolean>);

/**
 * May a key do it that is bound: that ends, or has networks, models, a certificate or limits of its own? People who are let in, set up,
 * given more or freed through one would not be bound as it is, so a row that changes things says so where it cannot do that.
 */
export type BoundKeys = 'may' | 'may not' | ((call: AnyCall) => boolean | Promise<boolean>);

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
  readonly before: ((call: AnyCall) => Promise<unknown>) | undefined;
  /** What of an answer its ETag stands for; the whole of it, if nothing is said. `before` gives the same. */
  readonly tag: ((answer: unknown) => unknown) | undefined;
  /** What a repeated creation gives: the thing by its id. */
  readonly again: ((call: RequestContext, id: string) => Promise<unknown>) | undefined;
  readonly fresh: Fresh;
  readonly boundKeys: BoundKeys;
  readonly pace: PaceName;
  /**
   * Whether the whole call is one decision: caller, If-Match, Idempotency-Key and what is done stand or fall in one
   * transaction. Not where another than the store takes part (the sign-in library, the data plane).
   */
  readonly atomic: boolean;
  /** By what a repeated creation is found again. */
  readonly madeAs: (made: unknown) => string;
  readonly run: (call: AnyCall) => Promise<unknown>;
  /** Text that is sent as it is made, instead of JSON. */
  readonly stream: Stream | undefined;
}

interface Stream {
  readonly type: 'text/csv' | 'text/event-stream' | 'application/json' | 'application/jsonl';
  /** Name under which a browser files it. */
  readonly file?: string;
  /** Ends when the caller has gone. */
  readonly pieces: (call: AnyCall, gone: AbortSignal) => AsyncIterable<string>;
}

interface Row<Q extends z.ZodRawShape, B extends z.ZodType, A extends z.ZodType> {
  readonly summary: string;
  readonly group: string;
  readonly needs: Needs;
  readonly query?: z.ZodObject<Q>;
  readonly body?: B;
  readonly answer?: A;
  readonly creates?: boolean;
  readonly before?: Endpoint['before'];
  readonly tag?: (answer: z.output<A>) => unknown;
  readonly fresh:
    | 'always'
    | 'never'
    | ((call: Call<Record<string, string>, never, z.output<B>>) => boolean | Promise<boolean>);
  readonly boundKeys?: 'may' | ((call: Call<Record<string, string>, never, z.output<B>>) => boolean | Promise<boolean>);
  readonly pace: PaceName;
  readonly atomic?: false;
  readonly madeAs?: (made: z.output<A>) => string;
  readonly again?: (call: RequestContext, id: string) => Promise<z.output<A>>;
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
  const { query, body, answer, creates = false, before, tag, again, fresh, pace, madeAs = idOf } = row;
  const { summary, group, needs, run, boundKeys = needs === 'management:write' ? 'may not' : 'may' } = row;
  return {
    name,
    method,
    path,
    summary,
    group,
    needs,
    query,
    body,
    answer,
    creates,
    before,
    tag: tag as Endpoint['tag'],
    again,
    fresh,
    boundKeys,
    pace,
    atomic: method !== 'get' && row.atomic !== false,
    madeAs: madeAs as Endpoint['madeAs'],
    run,
    stream: undefined,
  };
}

function idOf(made: unknown): string {
  const { id, name } = made as { readonly id?: string; readonly name?: string };
  return id ?? name ?? '';
}

/** A row that answers with a text as it is made. */
export function streamed<Q extends z.ZodRawShape>(
  name: string,
  place: `get /${string}`,
  row: Pick<Endpoint, 'summary' | 'group' | 'needs' | 'pace'> & {
    readonly fresh: 'always' | 'never';
    readonly answer?: z.ZodType;
    readonly query?: z.ZodObject<Q>;
    readonly type: Stream['type'];
    readonly file?: string;
    readonly pieces: (
      call: Call<Record<string, string>, z.output<z.ZodObject<Q>>, never>,
      gone: AbortSignal,
    ) => AsyncIterable<string>;
  },
): Endpoint {
  const { summary, group, needs, query, type, file, pieces, fresh, pace, answer } = row;
  const stream = { type, pieces, ...(file === undefined ? {} : { file }) } as Stream;
  return {
    name,
    method: 'get',
    path: place.slice(4),
    summary,
    group,
    needs,
    query,
    body: undefined,
    answer,
    creates: false,
    before: undefined,
    tag: undefined,
    again: undefined,
    fresh,
    boundKeys: 'may',
    pace,
    atomic: false,
    madeAs: idOf,
    stream,
    run: () => Promise.resolve(undefined),
  };
}
