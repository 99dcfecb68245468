// The OpenID Connect provider, and how far it is trusted beyond identifying people. Trust names the issuer it is given to, so that it
// does not pass to another one when OIDC_ISSUER changes.
import { z } from 'zod';
import { isIssuer } from '../domain/issuer.ts';
import { type LiveSetting, live, must, positiveSeconds, setting } from './kinds.ts';

export const providerSettings = {
  oidcIssuer: live(
    'provider',
    setting(
      'oidc_issuer',
      z.string().refine((text) => text === '' || isIssuer(text), must('setting_issuer', {})),
      '',
      'address',
      'Issuer of the OpenID Connect provider that people may sign in with.',
    ),
    { bundle: 'oidc' },
  ),
  oidcClientId: live('provider', setting('oidc_client_id', z.string(), '', 'text', 'Client id at that provider.'), {
    bundle: 'oidc',
  }),
  oidcClientSecret: live(
    'provider',
    setting('oidc_client_secret', z.string(), '', 'text', 'Client secret at that provider.', true),
    { bundle: 'oidc' },
  ),
  oidcName: live(
    'provider',
    setting('oidc_name', z.string().max(60), '', 'text', "Label of its button; the issuer's host if empty."),
  ),
  oidcTwoFactorIssuer: live(
    'provider',
    setting(
      'oidc_two_factor_issuer',
      z.string(),
      '',
      'address',
      'The same issuer again, if it asks for a second factor itself: signing in there then skips the second step here.',
    ),
  ),
  oidcConfirmedIssuer: live(
    'provider',
    setting(
      'oidc_confirmed_issuer',
      z.string(),
      '',
      'address',
      'The same issuer again, if its addresses are confirmed although it does not say so (Entra sends no email_verified).',
    ),
  ),
  oidcSignOut: live(
    'provider',
    setting(
      'oidc_sign_out',
      z.enum(['here', 'provider']),
      'here',
      '',
      'Where people who came from the provider are signed out: only here, or at the provider too.',
    ),
  ),
  oidcSeconds: live(
    'provider',
    setting('oidc_seconds', positiveSeconds, 10, 's', 'Time limit for each answer of the provider.'),
  ),
} as const satisfies Record<string, LiveSetting>;
