// What is sent and answered about the current session, the first set-up and new passwords.
import { z } from 'zod';
import { registrationModes } from '../../domain/application.ts';
import { linkPurposes } from '../../domain/person.ts';
import { accountSchema } from '../accounts/schemas.ts';
import { shownAnnouncementSchema } from '../announcements/schemas.ts';
import { applicationSchema } from '../applications/schemas.ts';
import { name, text } from '../http/fields.ts';
import { shownMaintenanceSchema } from '../maintenance/schemas.ts';
import { personFields } from '../people/schemas.ts';
import { viewSchema } from '../views/schemas.ts';

export const sessionSchema = z
  .strictObject({
    person: z
      .strictObject({
        ...personFields,
        fresh: z.boolean().describe('signed in within the last ten minutes'),
        addressTaken: z
          .boolean()
          .describe('another person has the address in their application, so they cannot sign in with it'),
      })
      .nullable(),
    account: accountSchema.nullable(),
    view: viewSchema.nullable().describe('an operator views the pages of this person'),
    application: applicationSchema.nullable(),
    announcements: z
      .array(shownAnnouncementSchema)
      .describe('in force, and not dismissed by the person; empty without a session'),
    signIn: z.strictObject({
      providers: z.array(z.strictObject({ id: z.string(), name: z.string() })),
      passkeys: z.boolean(),
      mail: z.boolean().describe('emails are sent'),
    }),
    registration: z.strictObject({
      mode: z.enum(registrationModes),
      domains: z.array(z.string()).describe('domains whose addresses are approved immediately'),
      plans: z.array(z.string()).describe('plans that an applicant can request, if a person decides'),
    }),
    gate: z.strictObject({
      name: z.string(),
      accentColor: z.string().describe('of buttons and links, as #2f6f4f; empty: that of the pages'),
      logo: z.string().nullable().describe('path of the picture before the name; null: that of the pages'),
      isOperated: z.boolean().describe('false: the one-time link for the first operator has not been used'),
      serves: z.boolean().nullable().describe('whether a model server responds; null: not known yet'),
      url: z.string(),
      timeZone: z.string(),
      exposed: z.boolean().describe('reachable over a network without encryption'),
      authority: z
        .string()
        .nullable()
        .describe('SHA-256 of its own certificate authority, which callers must trust first'),
      maintenance: shownMaintenanceSchema,
      statusPage: z.boolean().describe('everybody may see how the models are'),
    }),
  })
  .meta({ id: 'Session' });
const password = z.string().min(1).max(500);
const code = text(200).describe('the part of a one-time link after #');
export const linkQuestionSchema = z
  .strictObject({ code, purpose: z.enum([...linkPurposes, 'invite']) })
  .meta({ id: 'LinkQuestion' });
export const setUpSchema = z.strictObject({ code, name, email: text(254), password }).meta({ id: 'SetUp' });
export const confirmationSchema = z.strictObject({ code }).meta({ id: 'Confirmation' });
export const resetRequestSchema = z.strictObject({ email: text(254) }).meta({ id: 'ResetRequest' });
export const resetPasswordSchema = z.strictObject({ code, password }).meta({ id: 'Reset' });
