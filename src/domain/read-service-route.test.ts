import { expect, test } from 'vitest';
import { readServiceRoute } from './read-service-route.ts';
import type { ServiceRoute } from './service-route.ts';
import { refuseClashes, tableOf } from './service-table.ts';

const least = { name: 'qdrant', path: '/qdrant', upstreams: ['http://127.0.0.1:6333'] };
const under = (path: string, name = path.slice(1).replaceAll('/', '-').toLowerCase()) =>
  readServiceRoute({ name, path, upstreams: ['http://127.0.0.1:1'] });
const onHost = (hostName: string, name: string) =>
  readServiceRoute({ name, hostName, upstreams: ['http://127.0.0.1:1'] });

test('a route that says only the least has a scope of its own, reads and posts, and shows no secret', () => {
  expect(readServiceRoute(least)).toMatchObject({
    name: 'qdrant',
    match: { kind: 'path', prefix: '/qdrant' },
    strip: true,
    methods: ['GET', 'HEAD', 'POST'],
    scope: 'route:qdrant',
    credential: ['header', 'path'],
    cookies: [],
    cors: [],
    webSocket: null,
    secretFile: null,
    cost: null,
  });
});

test('a route with every option is read', () => {
  const read = readServiceRoute({
    ...least,
    strip: true,
    methods: ['DELETE', 'POST', 'GET'],
    scope: 'route:vectors',
    credential: ['header', 'ticket'],
    headers: { request: ['X-Tenant', 'mcp-param-*'], response: ['x-took'] },
    host: 'localhost:6333',
    bodyBytes: 0,
    timeouts: { connect: 1, head: 2, idle: 3, total: null },
    websocket: { origins: ['https://app.example.com'], maxFrameBytes: 1, idle: 2, maxSeconds: 3, perKey: 4 },
    cookies: ['session'],
    redirects: 'refuse',
    cost: { unit: 'seconds', perSecond: 2 },
    concurrent: 1,
    slots: 2,
    tls: { caFile: 'ca.pem' },
    secretFile: 'qdrant.key',
    healthPath: '/healthz',
    cors: ['https://app.example.com'],
    recordPath: 'template',
  });
  expect(read).toMatchObject({
    methods: ['GET', 'POST', 'DELETE'],
    scope: 'route:vectors',
    requestHeaders: ['x-tenant', 'mcp-param-*'],
    times: { connectSeconds: 1, headSeconds: 2, idleSeconds: 3, totalSeconds: null },
    webSocket: { perKey: 4, maxSeconds: 3 },
    cost: { kind: 'second', unit: 'seconds', units: 2 },
    tls: { caFile: 'ca.pem', certificateFile: null },
  });
});

test.each([
  ['no object', [], 'a route is an object'],
  ['no name', {}, 'a route: name is a text, and must be given'],
  ['a name that is none', { ...least, name: 'Q d' }, '"Q d" is not a name for a route'],
  ['an unknown option', { ...least, timeout: 3 }, 'route "qdrant" has no option "timeout"'],
  ['an unknown option inside', { ...least, timeouts: { heads: 3 } }, 'route "qdrant" has no option "timeouts.heads"'],
  ['no upstream', { name: 'x', path: '/x' }, 'route "x": upstreams needs the address'],
  [
    'an address of no web server',
    { ...least, upstreams: ['ftp://x'] },
    'route "qdrant": upstreams has addresses that begin',
  ],
  ['an address with a password', { ...least, upstreams: ['http://a:b@x'] }, 'has an address with a user or a password'],
  [
    'neither path nor host',
    { name: 'x', upstreams: ['http://x'] },
    'route "x": give either a path, such as /service, or a hostName',
  ],
  ['a websocket without GET', { ...least, methods: ['POST'], websocket: {} }, 'a websocket is opened with GET'],
  [
    'tickets without POST',
    { ...least, methods: ['GET'], websocket: {}, credential: ['ticket'] },
    'tickets are asked for with POST',
  ],
  ['nothing but tickets', { ...least, websocket: {}, credential: ['ticket'] }, 'credential needs header or path, too'],
  ['a session cookie of the portal', { ...least, cookies: ['sekisho.session_token'] }, "opens the gateway's own pages"],
  ['one over TLS', { ...least, cookies: ['__Host-Sekisho.two_factor'] }, "opens the gateway's own pages"],
  [
    'a command to a proxy in front',
    { ...least, headers: { response: ['X_Accel-Redirect'] } },
    'cannot have x_accel-redirect: the gateway sets it',
  ],
  [
    'permission for shared caches',
    { ...least, headers: { response: ['CDN-Cache-Control'] } },
    'cannot have cdn-cache-control: the gateway sets it',
  ],
  ['path and host', { ...least, hostName: 'q.example.com' }, 'give either a path'],
  ['the root as its path', { ...least, path: '/' }, 'route "qdrant": path begins with / and has segments'],
  ['a path with dot segments', { ...least, path: '/a/../b' }, 'path begins with / and has segments'],
  ['a path with an escape', { ...least, path: '/a%2fb' }, 'path begins with / and has segments'],
  [
    'a method that proxies must not pass',
    { ...least, methods: ['TRACE'] },
    'methods can have GET, HEAD, POST, PUT, PATCH, DELETE, and not "TRACE"',
  ],
  ['a scope of models', { ...least, scope: 'metadata' }, 'scope begins with route:'],
  [
    'a credential to pass on',
    { ...least, headers: { request: ['authorization'] } },
    'headers.request cannot have authorization',
  ],
  ['an alias of what the gate sets', { ...least, headers: { request: ['x_forwarded.prefix'] } }, 'cannot have'],
  ['every header', { ...least, headers: { request: ['x-*'] } }, 'which stands for too many headers'],
  ['a family with what the gate sets', { ...least, headers: { request: ['x-forwarded-*'] } }, 'cannot have'],
  ['a policy of the answer', { ...least, headers: { response: ['content-security-policy'] } }, 'cannot have'],
  ['a line break in a header', { ...least, headers: { request: ['x\r\ny'] } }, 'which is not the name of a header'],
  ['a line break in the host', { ...least, host: 'x\r\ny' }, 'host is a host name'],
  ['an origin with a path', { ...least, cors: ['https://x/y'] }, 'cors has origins such as'],
  ['any origin of a websocket', { ...least, websocket: { origins: ['*'] } }, 'websocket.origins has origins such as'],
  ['two costs', { ...least, cost: { fixed: 1, perSecond: 1 } }, 'cost has one of fixed'],
  ['a header without a cap', { ...least, cost: { header: 'x-cost' } }, 'cost.cap is a whole number'],
  ['a negative cost', { ...least, cost: { fixed: -1 } }, 'cost.fixed is a whole number from 1'],
  ['a ticket without a websocket', { ...least, credential: ['ticket'] }, 'tickets are for a websocket'],
  ['half a client certificate', { ...least, tls: { keyFile: 'x' } }, 'certificateFile and keyFile belong together'],
  ['a health path with dots', { ...least, healthPath: '/a/../b' }, 'healthPath'],
])('%s is refused with a sentence', (_, input, sentence) => {
  expect(() => readServiceRoute(input)).toThrow(sentence);
});

const clashes: readonly (readonly [string, readonly ServiceRoute[], string])[] = [
  ['the same name', [under('/a', 'x'), under('/b', 'x')], 'two routes have the name "x"'],
  ['the same path', [under('/a', 'x'), under('/a', 'y')], 'routes "x" and "y" have the same path'],
  ['one path under the other', [under('/a/b', 'x'), under('/a', 'y')], 'the paths of routes "x" and "y" overlap'],
  ['the same host', [onHost('a.example.com', 'x'), onHost('A.example.com', 'y')], 'have the same hostName'],
  ['the gate’s own host', [onHost('gate.example.com', 'x')], "gate.example.com is the gateway's own host name"],
  ...['/api', '/v1', '/k', '/healthz', '/readyz', '/portal', '/management', '/API', '/v1/x'].map(
    (path) => [path, [under(path, 'x')], 'belong to the gateway itself'] as const,
  ),
];

test.each(clashes)('%s is refused beside it', (_, routes, sentence) => {
  expect(() => refuseClashes(routes, new Set(['gate.example.com']))).toThrow(sentence);
});

test('a request is for the route of its Host, or whose path it is under, and for none by anything else', () => {
  const table = tableOf([under('/a/b', 'ab'), under('/c', 'c'), onHost('h.example.com', 'h')]);
  const found = (target: string, host = 'gate'): string | undefined => table.routeOf(target, host)?.name;
  expect([
    found('/a/b'),
    found('/a/b/'),
    found('/a/b?x'),
    found('/a/bc'),
    found('/a'),
    found('/c/d'),
    found('/c?/a/b'),
    found('/k/key/c/d'),
    found('/k/key'),
    found('/?/c'),
    found('/C'),
    found('//c'),
    found('/x', 'h.example.com'),
    found('/v1/models', 'H.example.com.:443'),
    found('/x', 'h.example.com.evil'),
  ]).toEqual([
    'ab',
    'ab',
    'ab',
    undefined,
    undefined,
    'c',
    'c',
    'c',
    undefined,
    undefined,
    undefined,
    undefined,
    'h',
    'h',
    undefined,
  ]);
});
