import { expect, test } from 'vitest';
import { readServiceRoute } from './read-service-route.ts';
import { optionsOf } from './stored-route.ts';

const least = { name: 'a', upstreams: ['http://x'] };

test.each([
  { ...least, path: '/a' },
  {
    ...least,
    hostName: 'a.example.com',
    methods: ['GET', 'PUT'],
    headers: { request: ['x-a'], response: ['x-b'] },
    timeouts: { total: null },
    websocket: { origins: ['https://x'], perKey: 3 },
    cost: { header: 'x-cost', cap: 5, unit: 'images' },
    cookies: ['c'],
    cors: ['https://x'],
    slots: 2,
  },
  { ...least, path: '/a', cost: { fixed: 1 }, strip: false },
  { ...least, path: '/a', cost: { perSecond: 1 }, recordPath: 'template' },
  {
    ...least,
    path: '/a',
    mcp: {
      tools: ['search', 'read_*', 'delete_*=route:b'],
      issuer: 'https://login.example.com/x',
      subjects: ['a=b=alice', 'c=bob'],
    },
    cost: { fixed: 0, tools: ['search=5', 're*=0'] },
  },
])('the options of a route are read as the same route', (input) => {
  const route = readServiceRoute(input);
  expect(readServiceRoute({ ...optionsOf(route), name: route.name })).toEqual(route);
});
