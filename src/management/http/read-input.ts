// Parses the input of a request by its schema, and reports errors as sentences from domain/sentences.
import type { z } from 'zod';
import { type Said, say } from '../../domain/sentences.ts';
import { Problem } from './problem.ts';

/** `where`: `query` or `body`, for the paths in the problem. @throws Problem `invalid`. */
export function readInput<T>(schema: z.ZodType<T>, value: unknown, where: 'query' | 'body'): T {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const errors = result.error.issues.map((issue) => {
    const at = [where, ...issue.path].join('.');
    return { at, said: saidOf(issue, at) };
  });
  throw new Problem('invalid', { said: errors[0]?.said ?? say('field_refused', { at: where }), errors });
}

/** The sentence for one fault, which begins with its place. */
export function saidOf(issue: z.core.$ZodIssue, at: string): Said {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? say('field_missing', { at }) : say('field_type', { at });
    case 'too_small':
      return small(issue.origin, at, Number(issue.minimum));
    case 'too_big':
      return big(issue.origin, at, Number(issue.maximum));
    case 'invalid_format':
      return say('field_shape', { at });
    case 'invalid_value':
      return say('field_choice', { at, words: issue.values.map(String).join(', ') });
    case 'unrecognized_keys':
      return say('field_unknown', { at, names: issue.keys.map((key) => `"${key.slice(0, 80)}"`).join(', ') });
    case 'custom':
      return issue.params?.['said'] === undefined
        ? say('field_refused', { at })
        : say('field_fault', { at, fault: issue.params['said'] as Said });
    case 'invalid_union': {
      // A closed list, or something else: the list says most.
      const listed = issue.errors.flat().find((each) => each.code === 'invalid_value');
      return listed ? saidOf(listed, at) : say('field_refused', { at });
    }
    default:
      return say('field_refused', { at });
  }
}

function small(origin: string, at: string, least: number): Said {
  if (origin === 'string') return say('field_short', { at, least });
  return say(isCounted(origin) ? 'field_few' : 'field_small', { at, least });
}

function big(origin: string, at: string, most: number): Said {
  if (origin === 'string') return say('field_long', { at, most });
  return say(isCounted(origin) ? 'field_many' : 'field_big', { at, most });
}

const isCounted = (origin: string): boolean => origin === 'array' || origin === 'set' || origin === 'map';
