// Checks every management API answer that a test receives against its row: the declared shape on success, a problem on
// failure.
import { expect } from 'vitest';
import { endpoints } from '../src/management/endpoints.ts';
import { problemSchema } from '../src/management/http/problem.ts';

/** Rows that have answered in this test file. */
export const answered = new Set<string>();

/** `path` is under /management/v1, with or without a query. Returns the parsed text. */
export function checkAgainstSchema(method: string, path: string, response: Response, text: string): unknown {
  const isJson = /json\b/.test(response.headers.get('content-type') ?? '');
  const parsed: unknown = isJson ? JSON.parse(text) : text === '' ? undefined : text;
  const bare = path.split('?')[0] ?? '';
  const matches = endpoints.filter(
    (each) =>
      each.method === method.toLowerCase() && new RegExp(`^${each.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(bare),
  );
  // A row without a parameter comes before one with a parameter.
  const row = matches.toSorted((a, b) => a.path.split('{').length - b.path.split('{').length)[0];
  if (!response.ok) problemSchema.parse(parsed);
  else if (row) {
    answered.add(row.name);
    if (row.answer) row.answer.parse(parsed);
    else if (!row.stream) expect(text).toBe('');
  }
  return parsed;
}
