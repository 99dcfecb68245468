// The routes that docs/services.md shows, so that journeys run what people copy.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJsonc } from '../../src/settings/jsonc.ts';

export type DocumentedRoute = Readonly<Record<string, unknown>> & { readonly name: string };

/** In the order of the document. */
export const documentedRoutes: readonly DocumentedRoute[] = [
  ...readFileSync(join(import.meta.dirname, '../../docs/services.md'), 'utf8').matchAll(/^```jsonc\n(.*?)^```$/gms),
].flatMap(([, text = '']) => parseJsonc(text) as DocumentedRoute | DocumentedRoute[]);

/**
 * The last one with this name, with what depends on the test in the place of what the document has: addresses and files. Options of
 * `changes` that are objects change their members only.
 */
export function documentedRoute(name: string, changes: Readonly<Record<string, unknown>>): DocumentedRoute {
  const found = documentedRoutes.findLast((route) => route.name === name);
  if (!found) throw new Error(`docs/services.md shows no route "${name}"`);
  const changed = Object.entries(changes).map(([option, value]) => {
    if (!(option in found)) throw new Error(`the route "${name}" of docs/services.md has no "${option}"`);
    return [option, isObject(value) ? { ...(found[option] as object), ...value } : value];
  });
  return { ...found, ...(Object.fromEntries(changed) as object) };
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
