// The sign-in routes that pages may call, each with its method and fields. Other routes of the library do not exist.
import { z } from 'zod';
import { normalEmail } from '../../domain/application.ts';
import { changePasswordBody } from './change-password.ts';
import { passkeyBodies } from './passkeys.ts';
import { providerBody } from './provider-routes.ts';
import { endSecondStepBody } from './second-step.ts';
import { endSessionBody } from './session-routes.ts';

export interface Route {
  /** `guess`: a POST that counts as a guess. */
  readonly how: 'GET' | 'POST' | 'guess';
  /**
   * Fields that a page may send. The library gets a new body with only these. Its own bodies have more (`trustDevice`,
   * `rememberMe`,
   * `callbackURL`), and unused ones must not be usable.
   */
  readonly body: z.ZodType;
}

const text = z.string().max(1_024);
const nothing = z.object({});
const get: Route = { how: 'GET', body: nothing };

/**
 * The routes that pages may call; other routes of the library do not exist. None of them gives a person with a second step
 * anything for the password alone: the route that shows its secret (get-totp-uri) is not among them, and new backup codes take a recent sign-in.
 */
export const routes: Readonly<Record<string, Route>> = {
  // One spelling, as addresses are stored; placeholders are refused.
  '/sign-in/email': {
    how: 'guess',
    body: z.object({
      email: text
        .transform((email) => normalEmail(email) ?? '')
        .refine((email) => email !== '', 'is not an email address'),
      password: text,
    }),
  },
  '/sign-in/provider': { how: 'POST', body: providerBody },
  '/sign-out': { how: 'POST', body: nothing },
  '/list-sessions': get,
  '/revoke-session': { how: 'POST', body: endSessionBody },
  '/revoke-other-sessions': { how: 'POST', body: nothing },
  '/change-password': { how: 'guess', body: changePasswordBody },
  '/two-factor/enable': { how: 'guess', body: z.object({ password: text }) },
  '/two-factor/disable': { how: 'guess', body: endSecondStepBody },
  '/two-factor/verify-totp': { how: 'guess', body: z.object({ code: z.string().regex(/^\d{6}$/) }) },
  '/two-factor/verify-backup-code': { how: 'guess', body: z.object({ code: z.string().max(100) }) },
  '/two-factor/generate-backup-codes': { how: 'POST', body: nothing },
  '/passkey/generate-register-options': get,
  '/passkey/verify-registration': { how: 'POST', body: passkeyBodies.register },
  '/passkey/generate-authenticate-options': get,
  '/passkey/verify-authentication': { how: 'POST', body: passkeyBodies.signIn },
  '/passkey/list-user-passkeys': get,
  '/passkey/update-passkey': { how: 'POST', body: passkeyBodies.rename },
  '/passkey/delete-passkey': { how: 'POST', body: passkeyBodies.remove },
};
/** Where a provider redirects to: from its own site, protected by state, nonce and PKCE. */
export const callback = /^\/callback\/[a-z0-9-]{1,40}$/;
