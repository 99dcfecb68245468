// The shapes of the management API, as types: the very ones that the gate validates with.
import type { z } from 'zod';
import type * as shapes from '../../src/management/http/schemas.ts';
import type * as figures from '../../src/management/usage/schemas.ts';

type Of<T extends z.ZodType> = z.output<T>;

export type Account = Of<typeof shapes.accountShape>;
export type Application = Of<typeof shapes.applicationShape>;
export type Applied = Of<typeof shapes.applied>;
export type AuditEvent = Of<typeof figures.auditShape>;
export type Claimed = Of<typeof shapes.claimed>;
export type Encryption = Of<typeof figures.encryptionShape>;
export type Invite = Of<typeof shapes.inviteShape>;
export type InviteWithCode = Of<typeof shapes.inviteWithCode>;
export type Key = Of<typeof shapes.keyShape>;
export type KeyWithSecret = Of<typeof shapes.keyWithSecret>;
export type Limit = Of<typeof figures.limitShape>;
export type Model = Of<typeof figures.modelShape>;
export type OneTimeLink = Of<typeof shapes.linkShape>;
export type Overview = Of<typeof figures.overviewShape>;
export type Plan = Of<typeof shapes.planShape>;
export type Preview = Of<typeof figures.previewShape>;
export type Registration = Of<typeof shapes.registrationShape>;
export type Rule = Of<typeof shapes.ruleShape>;
export type Session = Of<typeof shapes.sessionShape>;
export type Suspension = Of<typeof shapes.suspensionShape>;
export type UsageRow = Of<typeof figures.usageRow>;
export type UsageSum = Of<typeof figures.usageSum>;

/** A page of a list, and the cursor of the next. */
export interface PageOf<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}
