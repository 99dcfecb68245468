// Reads the file of published services.
import { readFileSync } from 'node:fs';
import { readServiceRoute } from '../domain/read-service-route.ts';
import type { ServiceRoute } from '../domain/service-route.ts';
import { refuseClashes } from '../domain/service-table.ts';
import { parseJsonc } from './jsonc.ts';

/** The routes of the file; none without a file. @throws Error with a sentence that names the file and the route. */
export function readRoutesFile(file: string, ownHosts: ReadonlySet<string>): readonly ServiceRoute[] {
  if (file === '') return [];
  try {
    const content = parseJsonc(readFileSync(file, 'utf8'));
    if (!Array.isArray(content)) throw new Error('it must be a list of routes, as in [{ "name": … }]');
    const routes = content.map(readServiceRoute);
    refuseClashes(routes, ownHosts);
    return routes;
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** The host names under which callers reach the gate itself. */
export function ownHostsOf({
  publicUrl,
  acmeDomains,
  host,
}: {
  readonly publicUrl: string;
  readonly acmeDomains: readonly string[];
  readonly host: string;
}): ReadonlySet<string> {
  // A certificate from an authority can also be for the names of services, beside the first one.
  const names = [publicUrl === '' ? '' : new URL(publicUrl).hostname, publicUrl === '' ? acmeDomains[0] : '', host];
  return new Set(names.filter((name) => name !== undefined && name !== '').map((name) => String(name).toLowerCase()));
}
