// The settings that apply to routes added at run time, for the management API and the command line.
import type { ServiceRoute } from '../../domain/service-route.ts';
import { isOwnAddress, type Listening } from '../servers/own-address.ts';

export interface RouteRules {
  /** Those of the routes file. */
  readonly fixed: readonly ServiceRoute[];
  readonly ownHosts: ReadonlySet<string>;
  readonly isOwn: (address: string) => boolean;
  /** Whether they may refer to files. */
  readonly hasFiles: boolean;
}

export const routeRulesOf = (
  { serverFiles, ...listening }: Listening & { readonly serverFiles: string },
  fixed: readonly ServiceRoute[],
  ownHosts: ReadonlySet<string>,
): RouteRules => ({
  fixed,
  ownHosts,
  isOwn: (address) => isOwnAddress(address, listening),
  hasFiles: serverFiles !== '',
});
