// The objects of the management API as types, from the schemas with which the gateway validates them.

import type { z } from 'zod';
import type { accountSchema } from '../../src/management/accounts/schemas.ts';
import type { announcementSchema } from '../../src/management/announcements/schemas.ts';
import type {
  applicationRowSchema,
  appliedSchema,
  claimedSchema,
  inviteSchema,
  inviteWithCodeSchema,
  registrationSchema,
} from '../../src/management/applications/schemas.ts';
import type { auditSchema } from '../../src/management/audit/schemas.ts';
import type { bulkResultSchema } from '../../src/management/bulk/schemas.ts';
import type { foundSchema } from '../../src/management/find/schemas.ts';
import type { keyRowSchema, keySchema, keyWithSecretSchema } from '../../src/management/keys/schemas.ts';
import type { latencySchema } from '../../src/management/latency/schemas.ts';
import type { maintenanceSchema } from '../../src/management/maintenance/schemas.ts';
import type { modelNameSchema } from '../../src/management/model-names/schemas.ts';
import type { modelDescriptionSchema, pullSchema, serverModelsSchema } from '../../src/management/models/schemas.ts';
import type {
  connectionsSchema,
  encryptionSchema,
  overviewSchema,
  waitingSchema,
} from '../../src/management/overview/schemas.ts';
import type { linkSchema } from '../../src/management/people/schemas.ts';
import type { limitSchema, planSchema, previewSchema } from '../../src/management/plans/schemas.ts';
import type { requestDetailSchema, requestSchema } from '../../src/management/requests/schemas.ts';
import type { routeSchema } from '../../src/management/routes/schemas.ts';
import type { ruleSchema } from '../../src/management/rules/schemas.ts';
import type { modelSchema, operationSchema } from '../../src/management/self-service/schemas.ts';
import type { serverSchema } from '../../src/management/servers/schemas.ts';
import type {
  settingChangeSchema,
  settingSchema,
  settingsSchema,
  trialResultSchema,
} from '../../src/management/settings/schemas.ts';
import type { sessionSchema } from '../../src/management/sign-in/schemas.ts';
import type { statusPageSchema } from '../../src/management/status-page/schemas.ts';
import type { suspensionRowSchema, suspensionSchema } from '../../src/management/suspensions/schemas.ts';
import type { usageRowSchema, usageSumSchema } from '../../src/management/usage/schemas.ts';
import type { viewSchema } from '../../src/management/views/schemas.ts';

/** A sentence that the gateway wrote, or somebody else, in any language. It is no text for a page before `useCause` has translated it. */
export interface Told {
  readonly told: unique symbol;
}

type Telling = 'reason' | 'problem' | 'error' | 'detail';
/** With `Told` for every free text that explains a state. */
type Marked<T> = T extends readonly (infer Item)[]
  ? Marked<Item>[]
  : T extends object
    ? { [Name in keyof T]: Name extends Telling ? MarkedText<T[Name]> : Marked<T[Name]> }
    : T;
type MarkedText<T> = T extends string ? (string extends T ? Told : T) : Marked<T>;

type Of<T extends z.ZodType> = Marked<z.output<T>>;

export type Account = Of<typeof accountSchema>;
export type Announcement = Of<typeof announcementSchema>;
export type Application = Of<typeof applicationRowSchema>;
export type Applied = Of<typeof appliedSchema>;
export type AuditEvent = Of<typeof auditSchema>;
export type BulkResult = Of<typeof bulkResultSchema>;
export type Claimed = Of<typeof claimedSchema>;
export type Connections = Of<typeof connectionsSchema>;
export type Encryption = Of<typeof encryptionSchema>;
export type Found = Of<typeof foundSchema>;
export type Invite = Of<typeof inviteSchema>;
export type InviteWithCode = Of<typeof inviteWithCodeSchema>;
export type Key = Of<typeof keySchema>;
export type KeyRow = Of<typeof keyRowSchema>;
export type KeyWithSecret = Of<typeof keyWithSecretSchema>;
export type Latency = Of<typeof latencySchema>;
export type Limit = Of<typeof limitSchema>;
export type Maintenance = Of<typeof maintenanceSchema>;
export type Model = Of<typeof modelSchema>;
export type ModelDescription = Of<typeof modelDescriptionSchema>;
export type ModelName = Of<typeof modelNameSchema>;
export type OneTimeLink = Of<typeof linkSchema>;
export type Operation = Of<typeof operationSchema>;
export type Overview = Of<typeof overviewSchema>;
export type Plan = Of<typeof planSchema>;
export type Preview = Of<typeof previewSchema>;
export type Pull = Of<typeof pullSchema>;
export type Registration = Of<typeof registrationSchema>;
export type RequestDetail = Of<typeof requestDetailSchema>;
export type RequestRow = Of<typeof requestSchema>;
export type Route = Of<typeof routeSchema>;
export type Rule = Of<typeof ruleSchema>;
export type Server = Of<typeof serverSchema>;
export type ServerModels = Of<typeof serverModelsSchema>;
export type Session = Of<typeof sessionSchema>;
export type Setting = Of<typeof settingSchema>;
export type SettingChange = Of<typeof settingChangeSchema>;
export type SettingGroup = Of<typeof settingsSchema>;
export type SettingTrial = Of<typeof trialResultSchema>;
export type StatusPage = Of<typeof statusPageSchema>;
export type Suspension = Of<typeof suspensionSchema>;
export type SuspensionRow = Of<typeof suspensionRowSchema>;
export type UsageRow = Of<typeof usageRowSchema>;
export type UsageSum = Of<typeof usageSumSchema>;
export type Waiting = Of<typeof waitingSchema>;

/** A page of a list, and the cursor of the next. */
export interface PageOf<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}
export type View = Of<typeof viewSchema>;
