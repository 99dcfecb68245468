// How far the OpenID Connect provider is trusted, beyond identifying people. Trust names the issuer it is given to, so that it
// does not pass to another one when OIDC_ISSUER changes.
import { z } from 'zod';
import { positiveSeconds, type Setting, setting } from './kinds.ts';

export const providerSettings = {
  oidcTwoFactorIssuer: setting(
    'oidc_two_factor_issuer',
    z.string(),
    '',
    'address',
    'The same issuer again, if it asks for a second factor itself: signing in there then skips the second step here.',
  ),
  oidcConfirmedIssuer: setting(
    'oidc_confirmed_issuer',
    z.string(),
    '',
    'address',
    'The same issuer again, if its addresses are confirmed although it does not say so (Entra sends no email_verified).',
  ),
  oidcSignOut: setting(
    'oidc_sign_out',
    z.enum(['here', 'provider']),
    'here',
    '',
    'Where people who came from the provider are signed out: only here, or at the provider too.',
  ),
  oidcSeconds: setting('oidc_seconds', positiveSeconds, 10, 's', 'Time limit for each answer of the provider.'),
} as const satisfies Record<string, Setting>;
