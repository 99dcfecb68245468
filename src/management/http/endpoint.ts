// One endpoint of the management API: method, path, callers, input, output, and its use case. The router, the OpenAPI document
// and the reference page are all generated from endpoints.
import type { z } from 'zod';
import type { Author } from '../../domain/audit.ts';
import type { PersonId } from '../../domain/id.ts';
import type { Introspection } from '../../domain/introspection.ts';
import type { Language } from '../../domain/person.ts';
import type { RouteIntrospection } from '../../domain/route-status.ts';
import type { ModelManagement } from '../../domain/server-models.ts';
import type { ServerIntrospection } from '../../domain/server-status.ts';
import type { MonotonicMs, WallMs } from '../../domain/time.ts';
import type { LiveSettings } from '../../settings/live.ts';
import type { FailureBudget } from '../../store/ports/failure-budget.ts';
import type { Store } from '../../store/ports/store.ts';
import type { Connections } from '../overview/connections.ts';
import type { EncryptionNow } from '../overview/encryption.ts';
import type { OnboardingContext } from '../people/onboarding.ts';
import type { RouteRules } from '../routes/route-rules.ts';
import type { ServerRules } from '../servers/server-rules.ts';
import type { SettingTools } from '../settings/setting-tools.ts';
import type { Caller, Needs } from './authenticate.ts';
import type { PaceName } from './pace.ts';

export type Method = 'get' | 'post' | 'patch' | 'delete';

/** What every endpoint can use. */
export interface RequestContext extends OnboardingContext {
  readonly timeZone: string;
  readonly encryption: {
    readonly exposed: boolean;
    readonly authority: () => string | null;
    readonly now: () => EncryptionNow;
  };
  /** The last results of contacting the mail server and the providers. */
  readonly connections: Pick<Connections, 'look'>;
  /** The current settings that can be changed at run time. */
  readonly live: LiveSettings;
  readonly settingTools: SettingTools;
  /** The current state of the data plane. */
  readonly introspection: Introspection;
  /** The current model servers, and the settings for added ones. */
  readonly servers: ServerIntrospection;
  readonly serverRules: ServerRules;
  /** The models on these servers. */
  readonly models: ModelManagement;
  /** The current published services, and the settings for added ones. */
  readonly routes: RouteIntrospection;
  readonly routeRules: () => RouteRules;
  readonly now: () => WallMs;
  readonly nowMs: () => MonotonicMs;
  /** Refused attempts that were counted but not yet written to the audit log. */
  readonly refused: { readonly flush: () => Promise<void> };
  /** Counts applications by address. */
  readonly applications: FailureBudget;
}

export interface Call<P, Q, B> extends RequestContext {
  readonly caller: Caller;
  /** Opens a session for a person who has proved their identity. */
  readonly openSession: (id: PersonId) => Promise<void>;
  readonly author: Author;
  /**
   * One of several decisions of a call whose row is not atomic: in a transaction of its own, in which the caller must still have
   * the right.
   */
  readonly decide: <T>(work: (store: Store) => Promise<T>) => Promise<T>;
  /** The preferred language of the caller. */
  readonly language: Language;
  readonly address: string;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

/** A call whose endpoint reads query and body itself. */
export type AnyCall = Call<Record<string, string>, never, never>;

/**
 * Whether a person needs a recent sign-in. `always` for changes that have serious consequences or grant rights, or a function
 * of the
 * call; `never` for reading, for minor changes of one's own data, and for changes that only remove rights.
 */
export type Fresh = 'always' | 'never' | ((call: AnyCall) => boolean | Promise<boolean>);

/**
 * Whether a restricted key may call it: one that expires, or has networks, models, a certificate or limits of its own. People
 * who are
 * admitted, set up, given more rights or freed with it would not have its restrictions, so endpoints that do this refuse it.
 */
export type BoundKeys = 'may' | 'may not' | ((call: AnyCall) => boolean | Promise<boolean>);

export interface Endpoint {
  readonly method: Method;
  /** With `{name}` for a parameter. */
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  readonly needs: Needs;
  readonly query: z.ZodObject | undefined;
  readonly body: z.ZodType | undefined;
  /** Undefined: 204 and no body. */
  readonly answer: z.ZodType | undefined;
  /** It creates something: the status is 201, and an Idempotency-Key is accepted. */
  readonly creates: boolean;
  /** The current representation, for If-Match; undefined if there is nothing to compare. */
  readonly before: ((call: AnyCall) => Promise<unknown>) | undefined;
  /** The part of an answer that its ETag represents; by default all of it. `before` returns the same part. */
  readonly tag: ((answer: unknown) => unknown) | undefined;
  /** Finds the created object by its id, for a repeated creation. */
  readonly again: ((call: RequestContext, id: string) => Promise<unknown>) | undefined;
  readonly fresh: Fresh;
  readonly boundKeys: BoundKeys;
  readonly pace: PaceName;
  /** Whether an operator who views the pages of a member gets the member's answer; no other row answers in a view. */
  readonly inView: boolean;
  /**
   * Whether the call is one transaction: caller, If-Match, Idempotency-Key and the use case. Not possible if others than the
   * store take part (the sign-in library, the data plane).
   */
  readonly atomic: boolean;
  /** The id by which a repeated creation finds the object. */
  readonly madeAs: (made: unknown) => string;
  readonly run: (call: AnyCall) => Promise<unknown>;
  /** Text that is streamed instead of JSON. */
  readonly stream: Stream | undefined;
}

interface Stream {
  readonly type: 'text/csv' | 'text/event-stream' | 'application/json' | 'application/jsonl';
  /** The name of a downloaded file. */
  readonly file?: string;
  /** Aborts when the caller has disconnected. */
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

/** Only a row that reads can be shown in a view. */
type InView<P> = P extends `get ${string}` ? { readonly inView?: true } : { readonly inView?: never };

/** Creates an endpoint; `place` is such as `get /keys/{id}`. */
export function endpoint<
  P extends `${Method} /${string}`,
  Q extends z.ZodRawShape,
  B extends z.ZodType,
  A extends z.ZodType,
>(name: string, place: P, row: Row<Q, B, A> & InView<P>): Endpoint {
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
    inView: row.inView === true,
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

/** An endpoint that streams a text. */
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
    inView: false,
    atomic: false,
    madeAs: idOf,
    stream,
    run: () => Promise.resolve(undefined),
  };
}
