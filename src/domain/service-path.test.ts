import { describe, expect, test } from 'vitest';
import { isUnder, readServicePath, restOf } from './service-path.ts';

const paths = (texts: readonly string[]): readonly (readonly [string])[] => texts.map((text) => [text] as const);

describe('a path with two readings is refused', () => {
  test.each(
    paths([
      '/a/%2f',
      '/a/%2Fb',
      '/a/%5cb',
      '/a/%5C',
      '/a%00',
      '/a%3bb',
      '/a%3B',
      '/a%25',
      '/a%252fb',
      '/a%3fb',
      '/a%23b',
      '/a/..',
      '/a/../b',
      '/a/./b',
      '/.',
      '/a/%2e%2e/b',
      '/a/%2E./b',
      '/a/.%2e',
      '/a//b',
      '//a',
      '/a\\b',
      '/a;b',
      '/a#b',
      '/a%41',
      '/a%7e',
      '/a%0d%0aX:%20y',
      '/a%0a',
      '/a%7f',
      '/a%',
      '/a%2',
      '/a%zz',
      '/a%c0%ae',
      '/a%ff',
      '/a%ed%a0%80',
      '/a%e3%81',
      '/a%c2%85',
      '/a%c2%9b',
      '/a%e2%80%a8',
      '/a b',
      '/a<b',
      '/a\u00e9',
      'a',
      '',
      'http://other/a',
      '/k/a%2fb/c',
      '/k/key//a',
      '/a?b#c',
      '/a?b\u00e9',
    ]),
  )('%s', (path) => {
    expect(() => readServicePath(path)).toThrow(expect.objectContaining({ code: 'bad_target' }));
  });
});

test.each(
  paths([
    '/',
    '/a',
    '/a/',
    '/a/b.c-d_e~f',
    "/!$&'()*+,=:@",
    '/My%20Notebook.ipynb',
    '/%E3%81%82',
    '/a%3Ab%40',
    '/.well-known/x',
    '/a..b',
    '/%22%3C%3E%5B%5D%7B%7D',
  ]),
)('%s passes as it is', (path) => {
  expect(readServicePath(path)).toEqual({ path, pathKey: undefined, query: '' });
});

test('the query and the key are divided from the path, and the query keeps its text', () => {
  expect(readServicePath('/k/sekisho_x/a/b?c=%2F..%2f&d=/../')).toEqual({
    path: '/a/b',
    pathKey: 'sekisho_x',
    query: 'c=%2F..%2f&d=/../',
  });
  expect(readServicePath('/k/sekisho_x')).toEqual({ path: '/', pathKey: 'sekisho_x', query: '' });
});

test('a prefix ends on the border of a segment', () => {
  expect(['/a', '/a/', '/a/b', '/ab', '/A', '/'].map((path) => isUnder(path, '/a'))).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
  expect([restOf('/a', '/a'), restOf('/a/', '/a'), restOf('/a/b', '/a'), restOf('/x', '')]).toEqual([
    '/',
    '/',
    '/b',
    '/x',
  ]);
});
