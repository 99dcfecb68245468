// The schemas of a person, and of one-time links that operators pass on.
import { z } from 'zod';
import { languages, linkPurposes } from '../../domain/person.ts';
import { id, time } from '../http/fields.ts';

export const personFields = {
  id: id('usr'),
  name: z.string(),
  email: z.string().describe('empty: they sign in without one and have not given one yet'),
  emailVerified: z.boolean(),
  language: z.enum(languages).nullable(),
  twoFactor: z.boolean(),
};
export const newLinkSchema = z
  .strictObject({ purpose: z.enum(linkPurposes).exclude(['confirm']) })
  .meta({ id: 'NewLink' });

export const linkSchema = z
  .strictObject({
    url: z.string().optional().describe('shown only once; absent when a creation is repeated'),
    expiresAt: time,
  })
  .meta({ id: 'OneTimeLink' });
