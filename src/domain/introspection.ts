// What the management plane may ask the data plane: current activity, the state of limits, and whether a call would
// pass. The planes never import each other, so the types of questions and answers are here; the data plane implements
// them (src/gateway/introspection.ts), and the composition root connects the two.
import type { Account } from './account.ts';
import type { StoredKey } from './api-key.ts';
import type { Window } from './calendar.ts';
import type { AccountId } from './id.ts';
import type { Measure, SubjectName } from './limit.ts';
import type { Plan, Unlimited } from './plan.ts';
import type { Scope } from './scope.ts';
import type { HealthState } from './server-status.ts';
import type { Suspension } from './suspension.ts';

export interface Introspection {
  readonly live: () => LiveStatus;
  readonly overview: () => LiveOverview;
  /** What the other gates of the database do now; none if there is only this one. */
  readonly others: () => Promise<readonly GateNow[]>;
  /** The models that every member could reach, for the public status page. */
  readonly publicModels: () => readonly {
    readonly name: string;
    readonly canonical: string;
    readonly up: boolean | null;
  }[];
  readonly limits: (subject: Subject) => Promise<readonly LimitState[]>;
  readonly preview: (question: PreviewQuestion) => Promise<Preview>;
  /** The routes for calls of models, as requests are matched to them. */
  readonly operations: readonly KnownOperation[];
  /** Models on the servers that the subject may use, spelled as the servers do. */
  readonly models: (subject: Subject) => Promise<readonly { readonly name: string; readonly size: number | null }[]>;
}

export interface KnownOperation {
  readonly name: string;
  readonly dialect: string;
  readonly methods: readonly string[];
  /** With {name} for a parameter. */
  readonly path: string;
  readonly scope: Scope;
  readonly body: 'none' | 'json' | 'multipart' | 'blob' | 'stream';
}

/** A model server. */
export interface ServerNow {
  readonly name: string;
  /** Null before the first check. */
  readonly up: boolean | null;
  /** A server that is loading its model is not up. */
  readonly state: HealthState | 'draining';
  /** Unix milliseconds. */
  readonly since: number;
  /** Why it does not get all calls; null if it does. */
  readonly reason: string | null;
  /** The detected kind; null before it is known. */
  readonly kind: string | null;
  /** Calls of this gate. */
  readonly inFlight: number;
  /** What the server itself says of the calls of all its clients; null where it does not. */
  readonly queue: { readonly running: number; readonly waiting: number } | null;
}

/** A model that a server loads, or will load next, for calls of this gate. */
export interface LoadNow {
  readonly server: string;
  readonly model: string;
  /** Unix milliseconds; null: another load has to end first. */
  readonly since: number | null;
  /** Null: not known. */
  readonly leftMs: number | null;
  /** Calls that wait for it. */
  readonly waiting: number;
}

export interface LiveStatus {
  readonly accepting: boolean;
  readonly running: number;
  readonly queues: readonly { model: string; running: number; waiting: number; accounts: number }[];
  readonly upstreams: readonly ServerNow[];
  readonly loads: readonly LoadNow[];
}

export interface LiveOverview {
  readonly accounts: readonly AccountNow[];
  readonly refusals: readonly { code: string; count: number }[];
  readonly recent: number;
}

/** What one gate does now, as every gate of the database can show it. */
export interface GateNow {
  readonly id: string;
  readonly host: string;
  /** Exchanges in progress, including waiting ones. */
  readonly running: number;
  readonly recent: number;
  readonly accounts: readonly AccountNow[];
}

export interface AccountNow {
  readonly account: AccountId;
  readonly running: number;
  readonly waiting: number;
  readonly tokensPerSecond: number;
}

/** The subject whose limits are asked for. */
export interface Subject {
  /** Undefined: any account with the plan and no usage. */
  readonly account: Account | undefined;
  readonly plan: Plan | Unlimited;
  readonly suspensions: readonly Suspension[];
  /** Undefined: a new key without settings of its own. */
  readonly key: StoredKey | undefined;
}

export interface PreviewQuestion extends Subject {
  readonly path: string;
  /** Undefined for a call of a service. */
  readonly model: string | undefined;
  readonly promptTokens: number | undefined;
  readonly maxTokens: number | undefined;
}

export interface LimitState {
  readonly name: string;
  readonly per: SubjectName;
  readonly measure: Measure;
  readonly window: Window;
  readonly limit: number;
  readonly used: number;
  readonly remaining: number;
  /** What the call in question needs; 0 without a call. */
  readonly needed: number;
  /** Unix milliseconds. */
  readonly resetsAt: number;
}

export interface Preview {
  readonly passes: boolean;
  readonly status: number;
  readonly code: string | null;
  readonly reason: string;
  readonly retryAfterSeconds: number | null;
  /** How much the call asks for and how much is allowed, where no limit in time is the reason. */
  readonly figures: { readonly needed: number; readonly most: number } | null;
  readonly changes: readonly string[];
  readonly limits: readonly LimitState[];
}
