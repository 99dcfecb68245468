// Every answer of the management API that a test sees is held against its row: its shape where it says yes, a problem where it says
// no.
import { expect } from 'vitest';
import { endpoints } from '../src/management/endpoints.ts';
import { problemShape } from '../src/management/http/problem.ts';

/** Rows that have answered in this file of tests. */
export const answered = new Set<string>();

/** `path` under /management/v1, with or without a query. Gives what the text says. */
export function holdToShape(method: string, path: string, response: Response, text: string): unknown {
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  const parsed: unknown = isJson ? JSON.parse(text) : text === '' ? undefined : text;
  const bare = path.split('?')[0] ?? '';
  const matches = endpoints.filter(
    (each) =>
      each.method === method.toLowerCase() && new RegExp(`^${each.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(bare),
  );
  // A row without a parameter stands before one that has it.
  const row = matches.toSorted((a, b) => a.path.split('{').length - b.path.split('{').length)[0];
  if (!response.ok) problemShape.parse(parsed);
  else if (row) {
    answered.add(row.name);
    if (row.answer) row.answer.parse(parsed);
    else if (!row.stream) expect(text).toBe('');
  }
  return parsed;
}
