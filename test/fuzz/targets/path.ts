// The request target and the route table. An accepted path is a fixed point, every other decoder reads the same path, it
// names no other server, and the forwarded path selects the same row again.
import assert from 'node:assert/strict';
import { dialects } from '../../../src/gateway/dialects/dialects.ts';
import {
  canonicalTarget,
  dialectOf,
  matchOperation,
  operations,
  upstreamPath,
} from '../../../src/gateway/operation.ts';
import { type Target, verdict } from '../target.ts';

const base = 'http://model-server.test:11434';

/** `METHOD target`, in latin-1 as Node gives it; without a space it is a POST. */
function run(bytes: Buffer): void {
  const text = bytes.toString('latin1');
  const space = text.indexOf(' ');
  const [method, raw] = space < 0 ? ['POST', text] : [text.slice(0, space), text.slice(space + 1)];
  assert.ok(dialects.includes(dialectOf(raw)));
  const { value: target } = verdict(() => canonicalTarget(raw));
  if (!target) return;
  const { path, pathKey, query } = target;
  assert.match(path, /^\/(?!.*(\/\/|\/\.|[;\\#%?]))[\x21-\x7e]*$/);
  const whole = pathKey === undefined ? path : `/k/${pathKey}${path}`;
  const sent = raw.split('?', 1)[0] as string;
  // The slashes of a base URL are removed before anything else reads the path.
  const rawPath = sent.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
  // Go's server and every browser decode in these two ways.
  const decoded = decodeURIComponent(rawPath);
  assert.ok(decoded === whole || (path === '/' && `${decoded}/` === whole), 'decoded otherwise');
  const url = new URL(rawPath, base);
  assert.equal(url.origin, base);
  assert.equal(decodeURIComponent(url.pathname), decoded);
  assert.equal(raw, query === '' && !raw.includes('?') ? sent : `${sent}?${query}`);
  if (!path.startsWith('/k/')) assert.deepEqual(canonicalTarget(path), { path, pathKey: undefined, query: '' });

  const { value: asked } = verdict(() => matchOperation(method, target));
  if (!asked) return;
  const { operation, parameter } = asked;
  assert.ok(operations.includes(operation) && operation.methods.includes(method));
  assert.equal(
    operation.path.replace(/\{.*\}/, () => parameter),
    path,
  );
  assert.ok(!parameter.includes('/') || operation.name === 'model');
  const onward = upstreamPath(asked);
  const again = matchOperation(method, canonicalTarget(onward));
  assert.equal(again.operation, operation);
  assert.equal(again.parameter, parameter);
  const { origin, pathname, search, hash } = new URL(base + onward);
  assert.deepEqual({ origin, pathname, search, hash }, { origin: base, pathname: onward, search: '', hash: '' });
}

export const target: Target = {
  words: [
    '/k/',
    '%2e',
    '%2F',
    '%25',
    '//',
    '/../',
    '\\',
    '?',
    '#',
    ';',
    'GET ',
    'HEAD ',
    'DELETE ',
    'http://',
    '@',
    ':',
  ],
  seeds: () => [
    ...operations.flatMap(({ methods, path }) => methods.map((method) => `${method} ${path.replace(/\{.*\}/, 'x')}`)),
    ...(
      '/api//chat //evil.test/api/chat /api/../api/chat /api/%2e%2e/chat /api%2fchat /api/chat%00 /api/chat% /api/%252e ' +
      '/api\\chat /api/chat;x=1 /api/chat#x http://evil.test/api/chat * /api/ch\u00e4t /api/chat%0d%0a /api/chat%3fx ' +
      '/\\evil.test/x /api/.hidden /%61pi/chat?x=1 /k/abc /k//api/chat /k/a/k/b/api/chat /API/chat'
    ).split(' '),
    'GET /k/abc/v1/models/gemma3%3A270m?limit=1',
    'GET //v1/models/aaa%2Fllava%3A13b/',
    'GET /v1/models/a%2F',
    'GET /k/abc//api/tags/',
  ],
  run,
};
