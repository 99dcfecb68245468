// What is sent and answered about registration, applications and invitations.
import { z } from 'zod';
import { heldFor, registrationModes } from '../../domain/application.ts';
import { languages } from '../../domain/person.ts';
import { id, name, text, time, timeOrNull, word } from '../http/fields.ts';
import { keyWithSecretSchema } from '../keys/schemas.ts';

export const registrationSchema = z
  .strictObject({
    mode: z
      .enum(registrationModes)
      .describe(
        'open: at once; domain: at once for some domains; invite: with a code; approval: an operator decides; closed',
      ),
    plan: word.describe('the plan of new accounts, unless another is given'),
    domains: z.array(text(253)).max(100).describe('email domains that the mode domain approves'),
    dotless: z
      .array(text(253))
      .max(100)
      .describe('domains where dots before the @ are ignored, so that such spellings are one mailbox'),
    maxPending: z.int().min(0).max(1_000_000).describe('applications that may wait for a decision'),
  })
  .meta({ id: 'Registration' });
export const registrationChangeSchema = registrationSchema.partial().meta({ id: 'RegistrationChange' });
export const openRegistrationSchema = z
  .strictObject({ mode: z.enum(registrationModes) })
  .meta({ id: 'OpenRegistration' });

export const applicationSchema = z
  .strictObject({
    id: id('app'),
    name: z.string(),
    email: z.string(),
    confirmedAt: timeOrNull.describe('when the owner of the mailbox confirmed it'),
    person: id('usr').nullable().describe('the person who signs in with it'),
    language: z.enum(languages).nullable(),
    wantedPlan: z.string().nullable(),
    purpose: z.string(),
    models: z.array(z.string()),
    status: z.enum(['pending', 'approved', 'rejected']),
    createdAt: time,
    decidedAt: timeOrNull,
    decidedBy: z.string().nullable(),
    decision: z.string().nullable().describe('a message to the applicant'),
    account: id('acc').nullable(),
    claimedAt: timeOrNull.describe('when the applicant got the key'),
    held: z
      .enum(heldFor)
      .nullable()
      .describe(
        'why an operator has to decide although a rule would have let the applicant in: an account of the mailbox was closed under a restriction, or it is a second one; for operators alone',
      ),
  })
  .meta({ id: 'Application' });
export const applicationRowSchema = applicationSchema
  .extend({ decidedByName: z.string().nullable() })
  .meta({ id: 'ApplicationRow' });

export const newApplicationSchema = z
  .strictObject({
    name,
    email: text(254),
    purpose: text(2000),
    models: z.array(text(200)).max(20).optional(),
    plan: word.optional().describe('the requested plan'),
    invite: text(200).optional(),
    password: z.string().min(1).max(500).optional().describe('to sign in with'),
    language: z.enum(languages).optional(),
  })
  .meta({ id: 'NewApplication' });

export const appliedSchema = z
  .strictObject({
    id: id('app'),
    status: z.enum(['pending', 'approved', 'rejected']),
    claim: z.string().describe('shown only once; with it the applicant gets the key'),
    confirm: z
      .boolean()
      .describe(
        'an email is on its way; its link continues the application, or confirms the address of a person who already has access',
      ),
  })
  .meta({ id: 'Applied' });
export const claimSchema = z.strictObject({ claim: text(200) }).meta({ id: 'Claim' });

export const claimedSchema = z
  .strictObject({
    status: z.enum(['pending', 'approved', 'rejected']),
    decision: z.string().nullable(),
    key: keyWithSecretSchema.nullable().describe('returned once, after approval'),
  })
  .meta({ id: 'Claimed' });
export const decisionSchema = z
  .strictObject({ plan: word.optional(), decision: text(2000).nullable().default(null) })
  .meta({ id: 'Decision' });

export const inviteSchema = z
  .strictObject({
    id: id('inv'),
    email: z.string().nullable(),
    plan: z.string().nullable(),
    createdAt: time,
    expiresAt: time,
    usedAt: timeOrNull,
  })
  .meta({ id: 'Invite' });
export const inviteWithCodeSchema = inviteSchema
  .extend({ code: z.string().optional().describe('shown only once') })
  .meta({ id: 'InviteWithCode' });

export const newInviteSchema = z
  .strictObject({
    email: text(254).nullable().default(null).describe('only for this address'),
    plan: word.nullable().default(null),
    expiresAt: time.optional().describe('at most 30 days from now; by default 7 days'),
  })
  .meta({ id: 'NewInvite' });
