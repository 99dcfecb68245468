// A route that can be published: what it takes to reach its servers has been read.
import type { ServiceRoute } from '../domain/service-route.ts';
import type { Credentials } from './credentials.ts';

export interface ServiceEntry {
  readonly route: ServiceRoute;
  /** By address. */
  readonly credentials: ReadonlyMap<string, Credentials>;
  /** Where callers find the gate. */
  readonly page: URL;
}
