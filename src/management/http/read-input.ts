// Reads what was sent by its schema.
import type { z } from 'zod';
import { Problem } from './problem.ts';

/** `where`: `query` or `body`, for the places that the problem names. @throws Problem `invalid`. */
export function readInput<T>(schema: z.ZodType<T>, value: unknown, where: 'query' | 'body'): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.map(({ path, message }) => ({ at: [where, ...path].join('.'), detail: message }));
  throw new Problem('invalid', { detail: `${errors[0]?.at ?? where}: ${errors[0]?.detail ?? 'not valid'}`, errors });
}
