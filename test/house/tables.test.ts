// Tables of the documents about published services and model servers are what the code reads, knows and answers; so are figures of deploy/.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { usualHeaders } from '../../src/domain/header-names.ts';
import { readServiceRoute } from '../../src/domain/read-service-route.ts';
import { serverStates } from '../../src/domain/server-status.ts';
import { serviceMethods, webSocketDefaults } from '../../src/domain/service-route.ts';
import { optionsOf } from '../../src/domain/stored-route.ts';
import { closeCode } from '../../src/gateway/websocket/frames.ts';
import { newServerSchema } from '../../src/management/servers/schemas.ts';
import { settings } from '../../src/settings/settings.ts';
import { kinds } from '../../src/upstream/kinds.ts';

const root = join(import.meta.dirname, '../..');

/** The cells of the first table after a text of a document, without its head. */
function tableAfter(page: string, text: string): string[][] {
  const lines = (readFileSync(join(root, page), 'utf8').split(text)[1] ?? '').split('\n');
  const head = lines.findIndex((line) => line.startsWith('| -'));
  const end = lines.findIndex((line, at) => at > head && !line.startsWith('|'));
  const cells = (line: string): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  return lines.slice(head + 1, end).map(cells);
}
const named = (cell = ''): string[] => Array.from(cell.matchAll(/`([^`]+)`/g), ([, name = '']) => name);
const mebibytes = (bytes: number): string => `${bytes / 1024 / 1024} MiB`;

test('docs/services.md lists exactly the options of a route, with their defaults', () => {
  const options = optionsOf(readServiceRoute({ name: 'x', path: '/x', upstreams: ['http://127.0.0.1:1'] }));
  const rows = tableAfter('docs/services.md', '\n## Options\n');
  const listed = rows.flatMap(([option]) => named(option)).map((name) => name.split('.')[0] as string);
  expect([...new Set(listed)].toSorted()).toEqual(['name', ...Object.keys(options)].toSorted());
  const said = Object.fromEntries(
    rows.map(([option, fallback = '']) => [named(option)[0] as string, fallback.replaceAll('`', '')]),
  );
  const { connect, head, idle, total } = options.timeouts;
  expect(said).toMatchObject({
    strip: String(options.strip),
    methods: options.methods.join(', '),
    scope: options.scope.replace(':x', ':<name>'),
    credential: options.credential.join(', '),
    bodyBytes: mebibytes(options.bodyBytes),
    timeouts: `${connect}, ${head}, ${idle}, ${total} s`,
    redirects: options.redirects,
    recordPath: options.recordPath,
  });
  for (const [name, value] of Object.entries(options))
    if (said[name] === 'none') expect([name, ['null', '[]'].includes(JSON.stringify(value))]).toEqual([name, true]);
  expect(rows.find(([option]) => option === '`methods`')?.[2]).toContain(serviceMethods.join(', '));
});

test('docs/services.md lists exactly the headers that pass of every route', () => {
  const text = readFileSync(join(root, 'docs/services.md'), 'utf8');
  for (const [title, direction] of [
    ['Request', 'request'],
    ['Response', 'response'],
  ] as const)
    expect(named(text.split(`**${title} headers** that pass:`)[1]?.split(';')[0])).toEqual(usualHeaders[direction]);
});

test('docs/services.md lists exactly the options of a WebSocket, with their defaults, and the codes of its end', () => {
  const { origins: _, maxFrameBytes, idleSeconds, maxSeconds, perKey: __ } = webSocketDefaults;
  expect(
    tableAfter('docs/services.md', '\n## WebSockets\n').map(([option, fallback]) => [named(option)[0], fallback]),
  ).toEqual([
    ['origins', 'none'],
    ['maxFrameBytes', mebibytes(maxFrameBytes)],
    ['idle', `${idleSeconds} s`],
    ['maxSeconds', `${maxSeconds} s`],
    ['perKey', 'no limit'],
  ]);
  const codes = tableAfter('docs/services.md', '**The end** is reported').flatMap(
    (row) => row.join(' ').match(/\b1\d{3}\b/g) ?? [],
  );
  expect(codes.toSorted()).toEqual(
    Object.values(closeCode)
      .filter((code) => code !== closeCode.normal)
      .map(String)
      .toSorted(),
  );
});

test('docs/model-servers.md lists exactly the fields of a server, its states, the kinds, and the routes of each kind', () => {
  const page = 'docs/model-servers.md';
  const fields = tableAfter(page, '\n## What a server has\n').flatMap(([field = '']) => field.split(/, | with /));
  expect(fields.toSorted()).toEqual(
    Object.keys(newServerSchema.shape)
      .filter((name) => name !== 'secretFile')
      .toSorted(),
  );
  expect(
    tableAfter(page, '\n## States\n')
      .flatMap(([state]) => named(state))
      .toSorted(),
  ).toEqual([...serverStates].toSorted());
  const names = kinds.map(({ name }) => name);
  expect(tableAfter(page, '\n## Kinds of model servers\n').flatMap(([kind]) => named(kind))).toEqual(names);
  const routes = tableAfter(page, '\n### Routes that each kind has\n').flatMap(([kind, paths]) =>
    named(kind).map((name) => [name, named(paths).toSorted()]),
  );
  // Lists are merged from all servers, and /tokenize is not for callers.
  const own = (path: string): boolean => path !== '/v1/models' && path !== '/tokenize';
  expect(Object.fromEntries(routes)).toEqual(
    Object.fromEntries(
      kinds.flatMap(({ name, paths }) =>
        paths instanceof Set ? [[name, [...(paths as Set<string>)].filter(own).toSorted()]] : [],
      ),
    ),
  );
});

test('deployments give a gateway more time to stop than running answers have, and start it as npm start does', () => {
  const text = (name: string): string => readFileSync(join(root, name), 'utf8');
  const unit = text('deploy/sekisho.service');
  const times = [
    /^TimeoutStopSec=(\d+)$/m.exec(unit),
    ...['compose.yaml', 'deploy/several-gateways/compose.yaml'].map((name) =>
      /stop_grace_period: (\d+)s/.exec(text(name)),
    ),
  ].map((found) => Number(found?.[1]));
  for (const seconds of times) expect(seconds).toBeGreaterThan(settings.drainSeconds.fallback);
  const [flag = 'none'] = /--max-semi-space-size=\d+/.exec(text('package.json')) ?? [];
  for (const name of ['deploy/sekisho.service', 'Containerfile']) expect(text(name)).toContain(flag);
  expect(text('deploy/several-gateways/compose.yaml')).toContain(
    `DATABASE_CONNECTIONS (${settings.databaseConnections.fallback})`,
  );
});
