// Every route that docs/services.md shows can be published, and is taken from there by a journey.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readServiceRoute } from '../../src/domain/read-service-route.ts';
import { documentedRoutes } from '../services/documented-route.ts';

test.each(documentedRoutes.map((route) => [route.name, route] as const))('%s', (name, route) => {
  expect(readServiceRoute(route).name).toBe(name);
  const directory = join(import.meta.dirname, '../journeys');
  const journeys = readdirSync(directory).map((file) => readFileSync(join(directory, file), 'utf8'));
  expect(journeys.filter((text) => text.includes(`documentedRoute('${name}'`))).not.toEqual([]);
});
