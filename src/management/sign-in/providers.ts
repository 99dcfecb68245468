// The provider that the settings name, if they name one.
import type { LiveValues } from '../../settings/live-table.ts';
import { type Provider, providerId } from './provider.ts';

type Values = Pick<
  LiveValues,
  | 'oidcIssuer'
  | 'oidcClientId'
  | 'oidcClientSecret'
  | 'oidcName'
  | 'oidcTwoFactorIssuer'
  | 'oidcConfirmedIssuer'
  | 'oidcSignOut'
  | 'oidcSeconds'
>;

export function providersOf(values: Values): readonly Provider[] {
  const { oidcIssuer: issuer, oidcClientId, oidcClientSecret, oidcName } = values;
  // A stored secret that does not open leaves a part out.
  if (issuer === '' || oidcClientId === '' || oidcClientSecret === '') return [];
  return [
    {
      id: providerId,
      name: oidcName === '' ? new URL(issuer).hostname : oidcName,
      issuer,
      clientId: oidcClientId,
      clientSecret: oidcClientSecret,
      passesSecondStep: values.oidcTwoFactorIssuer === issuer,
      confirmsSilently: values.oidcConfirmedIssuer === issuer,
      signsOut: values.oidcSignOut === 'provider',
      seconds: values.oidcSeconds,
    },
  ];
}
