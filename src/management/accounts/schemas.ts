// What is sent and answered about accounts.
import { z } from 'zod';
import { roles } from '../../domain/account.ts';
import { steps } from '../../domain/rule.ts';
import { idsOf } from '../bulk/schemas.ts';
import { id, name, text, time, timeOrNull, word } from '../http/fields.ts';

export const accountSchema = z
  .strictObject({
    id: id('acc'),
    name: z.string(),
    plan: z.string().nullable().describe('null if and only if it has no limits'),
    unlimited: z.boolean().describe('an operator who has no plan and no limits'),
    role: z
      .enum(roles)
      .describe('operator: may change everything; auditor: may see everything; member: only their own data'),
    person: z
      .strictObject({ name: z.string(), email: z.string(), emailVerified: z.boolean(), twoFactor: z.boolean() })
      .nullable()
      .describe('the person who signs in to it'),
    closedAt: timeOrNull,
    createdAt: time,
    keys: z.int().describe('active keys'),
    inForce: z.array(z.strictObject({ id: z.string(), step: z.enum(steps), endsAt: timeOrNull })),
  })
  .meta({ id: 'Account' });
export const newAccountSchema = z
  .strictObject({ name, plan: word.optional(), role: z.enum(roles).optional() })
  .meta({ id: 'NewAccount' });
export const accountChangeSchema = z
  .strictObject({ plan: word, role: z.enum(roles) })
  .partial()
  .meta({ id: 'AccountChange' });

const ids = idsOf(id('acc'));
export const accountsChangeSchema = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('plan'), ids, plan: word }),
  z.strictObject({ action: z.literal('suspend'), ids, reason: text(2000), endsAt: time.nullable().default(null) }),
  z.strictObject({ action: z.literal('restore'), ids }).describe('lifts every step that is in force'),
  z.strictObject({ action: z.literal('close'), ids }).describe('for good'),
]);
