// Signing in: password, passkey or a provider, and the second step where there is one.
import { Anchor, Button, Divider, Paper, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { IconFingerprint, IconLogin2 } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { api } from '../api.ts';
import { auth, passkeys, signInAt } from '../auth.ts';
import { useSession } from '../session.tsx';
import { nextPage } from '../shell/next.ts';
import { Page } from '../shell/page.tsx';
import { Against, sending } from './form.tsx';
import { SecondStep } from './second-step.tsx';

const refusals = ['provider', 'address', 'taken', 'closed'] as const;

interface Failure {
  readonly status: number;
  readonly code?: string | undefined;
}

export default function SignIn(): ReactNode {
  const { t } = useTranslation('visitor');
  const { session, refresh } = useSession();
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const asked = new URLSearchParams(window.location.search);
  // Who came back from a provider has passed the first step, or was not let in and is told why.
  const [step, setStep] = useState<'password' | 'code' | 'forgot'>(asked.get('step') === 'code' ? 'code' : 'password');
  const refusal = refusals.find((each) => each === asked.get('error'));
  const [against, setAgainst] = useState<string | undefined>(
    asked.has('error') ? t(`signIn.refused.${refusal ?? 'provider'}`) : undefined,
  );
  const { providers, mail } = session.signIn;

  const explain = ({ status }: Failure, wrong: string): string =>
    status === 429 ? t('signIn.tooMany', { seconds: 30 }) : wrong;
  const byPassword = useMutation({
    mutationFn: () => auth.signIn.email({ email, password }),
    onSuccess: async ({ data, error }) => {
      setAgainst(error ? explain(error, t('signIn.wrong')) : undefined);
      if (error) return;
      if ('twoFactorRedirect' in data && data.twoFactorRedirect === true) setStep('code');
      else await refresh();
    },
  });
  const byPasskey = useMutation({
    mutationFn: () => passkeys.signIn(),
    onSuccess: async () => {
      setAgainst(undefined);
      await refresh();
    },
    onError: () => setAgainst(t('signIn.passkeyFailed')),
  });
  const byProvider = useMutation({
    mutationFn: (provider: string) => signInAt(provider, `/portal${nextPage() ?? '/'}`),
    onError: () => setAgainst(t('signIn.refused.provider')),
  });
  const forgot = useMutation({ mutationFn: () => api.post('/password-resets', { email }) });

  if (step === 'code') return <SecondStep entered={refresh} restart={() => setStep('password')} />;
  const address = (
    <TextInput
      label={t('signIn.email')}
      type="email"
      value={email}
      onChange={(event) => setEmail(event.currentTarget.value)}
      autoComplete="username webauthn"
      required
    />
  );
  if (step === 'forgot')
    return (
      <Page title={t('signIn.forgot')} lead={t(mail ? 'signIn.forgotMail' : 'signIn.forgotNoMail')}>
        <Paper withBorder p="lg" component="form" onSubmit={sending(() => forgot.mutate())}>
          <Stack>
            {mail && address}
            {forgot.isSuccess && <Text role="status">{t('signIn.sent')}</Text>}
            <Against>{forgot.error?.message}</Against>
            {mail && (
              <Button type="submit" loading={forgot.isPending}>
                {t('signIn.sendLink')}
              </Button>
            )}
            <Button variant="default" onClick={() => setStep('password')}>
              {t('signIn.title')}
            </Button>
          </Stack>
        </Paper>
      </Page>
    );
  return (
    <Page title={t('signIn.title')}>
      <Paper withBorder p="lg">
        <Stack>
          <form onSubmit={sending(() => byPassword.mutate())}>
            <Stack>
              {address}
              <PasswordInput
                label={t('signIn.password')}
                value={password}
                onChange={(event) => setPassword(event.currentTarget.value)}
                autoComplete="current-password"
                required
              />
              <Against>{against ?? byPassword.error?.message}</Against>
              <Button type="submit" size="md" loading={byPassword.isPending} leftSection={<IconLogin2 size={18} />}>
                {t('signIn.send')}
              </Button>
            </Stack>
          </form>
          <Divider label={t('signIn.or')} />
          <Button
            variant="default"
            leftSection={<IconFingerprint size={18} />}
            loading={byPasskey.isPending}
            onClick={() => byPasskey.mutate()}
          >
            {t('signIn.passkey')}
          </Button>
          {providers.map(({ id, name }) => (
            <Button key={id} variant="default" loading={byProvider.isPending} onClick={() => byProvider.mutate(id)}>
              {t('signIn.provider', { name })}
            </Button>
          ))}
        </Stack>
      </Paper>
      <Stack gap={4}>
        <Anchor component="button" type="button" ta="left" size="sm" onClick={() => setStep('forgot')}>
          {t('signIn.forgot')}
        </Anchor>
        {session.registration.mode !== 'closed' && (
          <Anchor component={Link} href="/apply" size="sm">
            {t('signIn.apply')}
          </Anchor>
        )}
      </Stack>
    </Page>
  );
}
