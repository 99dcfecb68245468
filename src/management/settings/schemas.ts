// What is sent and answered about settings that can be changed at run time.
import { z } from 'zod';
import { liveGroups } from '../../settings/kinds.ts';
import { count, id, text, time, timeOrNull } from '../http/fields.ts';

export const settingKinds = ['text', 'number', 'choice', 'list', 'secret', 'color', 'image'] as const;

const value = z.union([z.string(), z.number(), z.array(z.string())]);
const settingName = z.string().regex(/^[a-z][a-z0-9_]{0,60}$/);

export const settingSchema = z.strictObject({
  name: settingName.describe('as in the file of the settings'),
  kind: z.enum(settingKinds),
  unit: z.string(),
  value: value.nullable().describe('in force now; null for a secret; type and size of a picture'),
  isSet: z.boolean().nullable().describe('of a secret: whether there is one'),
  default: value.nullable(),
  source: z
    .enum(['fixed', 'stored', 'default'])
    .describe('fixed: by the file or the environment, and not to be changed here'),
  fixedBy: z.string().nullable().describe('what fixes it, such as GATE_NAME'),
  choices: z.array(z.string()).nullable(),
  problem: z.string().nullable().describe('why the stored value is not in force'),
});
export const settingsSchema = z
  .strictObject({
    group: z.enum(liveGroups),
    version: count.describe('0: nothing of it was ever changed'),
    changedAt: timeOrNull,
    canSeal: z.boolean().describe('whether secrets can be stored: server_secret_key names a key file'),
    settings: z.array(settingSchema),
  })
  .meta({ id: 'Settings' });
export const allSettingsSchema = z.strictObject({ groups: z.array(settingsSchema) }).meta({ id: 'AllSettings' });

const askedValues = z
  .record(
    settingName,
    z.union([z.string().max(100_000), z.number(), z.array(z.string().max(2_000)).max(1_000), z.null()]),
  )
  .describe('by name; null: the default again');
export const settingsChangeSchema = z.strictObject({ values: askedValues }).meta({ id: 'SettingsChange' });

export const trialSchema = z
  .strictObject({
    values: askedValues.optional().describe('to try out instead of those in force; nothing is stored'),
    to: text(254).optional().describe('of mail: where the email goes; the caller’s own address if left out'),
  })
  .meta({ id: 'SettingsTrial' });
export const trialResultSchema = z
  .strictObject({
    works: z.boolean(),
    step: z.enum(['mail', 'discovery', 'client']).describe('where it ended'),
    to: z.string().nullable().describe('of mail: where the email went'),
    problem: z.string().nullable().describe('in the words of the other side or of the system; null if it works'),
  })
  .meta({ id: 'SettingsTrialResult' });

const side = z.record(z.string(), z.union([value, z.boolean()]).nullable());
export const settingChangeSchema = z
  .strictObject({
    id: id('chg'),
    at: time,
    actor: z.string(),
    actorName: z.string().nullable(),
    group: z.string().describe('registration, or a group of settings'),
    from: side.describe('what changed; null: the default; secrets are never shown'),
    to: side,
    undoes: id('chg').nullable().describe('the change that this one took back'),
    undoneBy: id('chg').nullable().describe('the change that took this one back'),
  })
  .meta({ id: 'SettingChange' });
