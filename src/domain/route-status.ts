// What the management plane may ask about the published services of this gate.
import type { RouteId } from './id.ts';
import type { Said } from './sentences.ts';
import type { ServiceRoute } from './service-route.ts';

export interface RouteServerStatus {
  readonly address: string;
  /** `unknown`: no health path, and no call has failed. `doubtful`: a call has just broken there. */
  readonly state: 'unknown' | 'up' | 'doubtful' | 'down';
  /** Unix milliseconds. */
  readonly since: number;
  readonly reason: string | null;
  readonly inFlight: number;
}

/** `unusable`: it is stored, and not published. */
export interface RouteStatus {
  readonly state: 'published' | 'unusable';
  readonly reason: string | null;
  /** The same as an entry of the catalogue of sentences, if it is one. */
  readonly said: Said | null;
  readonly servers: readonly RouteServerStatus[];
}

export interface RouteIntrospection {
  /** Those of the routes file. */
  readonly fixed: () => readonly { readonly route: ServiceRoute; readonly status: RouteStatus }[];
  /** Undefined: this gate does not know of it yet. */
  readonly statusOf: (id: RouteId) => RouteStatus | undefined;
}
