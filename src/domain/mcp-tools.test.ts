import { expect, test } from 'vitest';
import { mayUseTool, priceOf, readMcpTools, readToolPrice } from './mcp-tools.ts';
import type { Scope } from './scope.ts';

test('a tool is used by its whole name or by a beginning, and with the scope that it needs', () => {
  const tools = ['search', 'read_*', 'delete_*=route:notes-write'].map(readMcpTools);
  const may = (tool: string, ...scopes: Scope[]) => mayUseTool(tools, new Set(scopes), tool);
  expect([may('search'), may('read_note'), may('delete_note', 'route:notes-write')]).toEqual([true, true, true]);
  expect([may('searches'), may('Read_note'), may('delete_note', 'route:notes'), may('')]).toEqual(Array(4).fill(false));
});

test('of several prices that fit, the closest to the name counts', () => {
  const prices = ['re*=2', 'read_*=3', 'read_all=9', '*=1', 'read_none=0'].map(readToolPrice);
  expect(['read_all', 'read_one', 'rewrite', 'search', 'read_none'].map((tool) => priceOf(prices, tool))).toEqual([
    9, 3, 2, 1, 0,
  ]);
  expect(priceOf([readToolPrice('search=1')], 'find')).toBeUndefined();
});

test.each(['search', 'search=', 'search=-1', 'search=1.5', '=1', 'a b=1', 'search=1000000000000'])(
  'no price: %s',
  (text) => {
    expect(() => readToolPrice(text)).toThrow('such as search=5');
  },
);
