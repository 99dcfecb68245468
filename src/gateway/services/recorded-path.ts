// The path of a service's call for the log: without what varies from one call to the next, which may name a document or a person.
import { readServicePath } from '../../domain/service-path.ts';
import { prefixOf, type ServiceRoute } from '../../domain/service-route.ts';

/** A word of an interface: letters, and the separators and the version numbers that come with them. */
const word = /^(?:[a-z]+(?:[_-][a-z]+)*|v\d{1,2})$/;
const mostSegments = 8;

/** Undefined if the route records none. `url`: a target that the service's rule for paths has accepted. */
export function recordedPath(route: ServiceRoute, url: string): string | undefined {
  if (route.recordPath === 'no') return undefined;
  const prefix = prefixOf(route);
  const segments = readServicePath(url).path.slice(prefix.length).split('/').slice(1);
  const shown = segments.slice(0, mostSegments).map((each) => (each === '' || word.test(each) ? each : '{}'));
  return `${prefix}/${shown.join('/')}${segments.length > mostSegments ? '/…' : ''}`;
}
