// The routes of sign-in that a page may ask for, each with its method and the fields it may send. Every other route of the library
// is not there.
import { z } from 'zod';
import { normalEmail } from '../../domain/application.ts';
import { changePasswordBody } from './change-password.ts';
import { passkeyBodies } from './passkeys.ts';
import { providerBody } from './provider-routes.ts';
import { endSecondStepBody } from './second-step.ts';
import { endSessionBody } from './session-routes.ts';

export interface Route {
  /** `guess` is a POST that counts as one. */
  readonly how: 'GET' | 'POST' | 'guess';
  /**
   * Fields that a page may send; the library gets these and no other, written anew. Its own bodies have more (`trustDevice`,
   * `rememberMe`, `callbackURL`), and what we do not use must not be there to be used.
   */
  readonly body: z.ZodType;
}

const text = z.string().max(1_024);
const nothing = z.object({});
const get: Route = { how: 'GET', body: nothing };

/**
 * What a page may ask; every other route of the library is not there. None of these gives anything for a password alone to somebody
 * who has a second step: what shows its secret (get-totp-uri) is not among them, and new backup codes take a recent sign-in.
 */
export const routes: Readonly<Record<string, Route>> = {
  // One spelling, as people were stored; a placeholder for an address is refused.
  '/sign-in/email': {
    how: 'guess',
    body: z.object({
      email: text
        .transform((email) => normalEmail(email) ?? '')
        .refine((email) => email !== '', 'is no e-mail address'),
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
/** Where a provider sends somebody back: from its own site, by its own leave (state, nonce and PKCE). */
export const callback = /^\/callback\/[a-z0-9-]{1,40}$/;
