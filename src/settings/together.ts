// What settings say only together; the same at the start and for a change at run time.
import { type Said, say } from '../domain/sentences.ts';
import type { LiveValues } from './live-table.ts';
import { hasPassword, withPassword } from './smtp.ts';

/** Every sentence against these values, each with the names that it is about. */
export function faultsTogether(values: LiveValues): readonly Said[] {
  const { smtpUrl, smtpPassword, mailFrom, oidcIssuer, oidcClientId, oidcClientSecret } = values;
  const faults: Said[] = [];
  if (smtpUrl !== '' && mailFrom === '') faults.push(say('setting_sender', {}));
  if (smtpPassword !== '' && hasPassword(smtpUrl)) faults.push(say('setting_password_twice', {}));
  else if (smtpPassword !== '' && withPassword(smtpUrl, smtpPassword) === smtpUrl)
    faults.push(say('setting_password_alone', {}));
  const given = [oidcIssuer, oidcClientId, oidcClientSecret].filter((value) => value !== '').length;
  if (given > 0 && given < 3) faults.push(say('setting_client', {}));
  // Trust that was given to another issuer is looked at again, not carried over.
  for (const [name, trusted] of [
    ['oidc_two_factor_issuer', values.oidcTwoFactorIssuer],
    ['oidc_confirmed_issuer', values.oidcConfirmedIssuer],
  ] as const)
    if (trusted !== '' && trusted !== oidcIssuer) faults.push(say('setting_trust', { name }));
  return faults;
}
