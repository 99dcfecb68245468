// What callers send and are answered about themselves.
import { z } from 'zod';
import { languages } from '../../domain/person.ts';
import { accountSchema } from '../accounts/schemas.ts';
import { name } from '../http/fields.ts';
import { keySchema } from '../keys/schemas.ts';
import { personFields } from '../people/schemas.ts';
import { planSchema } from '../plans/schemas.ts';

export const selfSchema = z
  .strictObject({
    person: z.strictObject(personFields).nullable().describe('null: the caller is a key'),
    key: keySchema.nullable().describe('null: the caller is a person'),
    account: accountSchema,
    plan: planSchema.nullable(),
  })
  .meta({ id: 'Self' });
export const personChangeSchema = z
  .strictObject({ name: name.optional(), language: z.enum(languages).optional() })
  .meta({ id: 'PersonChange' });
export const exportSchema = z
  .looseObject({ person: z.unknown(), application: z.unknown(), account: z.unknown() })
  .meta({ id: 'Export' });
export const operationSchema = z
  .strictObject({
    name: z.string().describe('as in the ledger'),
    dialect: z.string(),
    method: z.string(),
    path: z.string().describe('with {name} for a parameter'),
    scope: z.string(),
    body: z.enum(['none', 'json', 'multipart', 'blob', 'stream']),
  })
  .meta({ id: 'Operation' });
export const modelSchema = z.strictObject({ name: z.string(), size: z.int().nullable() }).meta({ id: 'Model' });
