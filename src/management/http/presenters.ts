// What the use cases show are plain records; here they get the types of their shapes. A test holds each of them against
// its shape on the running server.

import type { z } from 'zod';
import type { Registration } from '../../domain/application.ts';
import type { KeyId } from '../../domain/id.ts';
import type { LimitState } from '../../domain/introspection.ts';
import type { applicationSchema, inviteSchema } from '../applications/schemas.ts';
import type { auditSchema } from '../audit/schemas.ts';
import { type CreatedKey, type KeyChange, showKey } from '../keys/keys.ts';
import type { keyChangeSchema, keySchema } from '../keys/schemas.ts';
import type { MadeLink } from '../people/one-time-links.ts';
import type { planSchema } from '../plans/schemas.ts';
import type { ruleSchema } from '../rules/schemas.ts';
import type { suspensionSchema } from '../suspensions/schemas.ts';

type Shown = Readonly<Record<string, unknown>>;

export const keyOf = (shown: Shown) => shown as z.output<typeof keySchema>;
export const planOf = (shown: Shown) => shown as z.output<typeof planSchema>;
export const ruleOf = (shown: object) => ({ ...shown }) as z.output<typeof ruleSchema>;
export const stepOf = (shown: Shown) => shown as z.output<typeof suspensionSchema>;
export const applicationOf = (shown: Shown) => shown as z.output<typeof applicationSchema>;
export const inviteOf = (shown: Shown) => shown as z.output<typeof inviteSchema>;
export const eventOf = (shown: Shown) => shown as z.output<typeof auditSchema>;

/** A key that was made, with what is shown this once. */
export const withSecret = ({ key, secret }: CreatedKey) => ({
  ...keyOf(showKey(key)),
  ...(secret ? { secret: secret.reveal() } : {}),
});
/** What a link carries is shown once and kept as a digest only: a repeated request learns when it ends. */
export const linkOnce = {
  madeAs: ({ expiresAt }: { readonly expiresAt: string }): string => expiresAt,
  again: (_desk: unknown, expiresAt: string) => Promise.resolve({ expiresAt }),
};
export const linkOf = ({ url, expiresAt }: MadeLink) => ({ url, expiresAt: new Date(expiresAt).toISOString() });
export const limitOf =
  (key: KeyId | null) =>
  ({ resetsAt, ...state }: LimitState) => ({
    ...state,
    key,
    resetsAt: new Date(resetsAt).toISOString(),
  });
export const changeOf = ({ expiresAt, ...change }: z.output<typeof keyChangeSchema>): KeyChange => ({
  ...change,
  limits: change.limits,
  expiresAt: typeof expiresAt === 'string' ? Date.parse(expiresAt) : expiresAt,
});
export const registrationOf = (registration: Registration) => ({
  ...registration,
  domains: [...registration.domains],
  dotless: [...registration.dotless],
});
