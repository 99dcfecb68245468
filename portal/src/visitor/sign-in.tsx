// The sign-in page, which also requests a link to a new password.
import { Anchor, Button, Paper, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { api } from '../api.ts';
import { useSession } from '../session.tsx';
import { nextPage } from '../shell/next.ts';
import { Page } from '../shell/page.tsx';
import { Against, sending } from './form.tsx';
import { SignInForm } from './sign-in-form.tsx';

const refusals = ['provider', 'address', 'taken', 'closed'] as const;

export default function SignIn(): ReactNode {
  const { t } = useTranslation('visitor');
  const { session, refresh } = useSession();
  const asked = new URLSearchParams(window.location.search);
  // After the return from a provider, the first step is passed, or the reason for the refusal is shown.
  const atCode = asked.get('step') === 'code';
  const [step, setStep] = useState<'password' | 'code' | 'forgot'>(atCode ? 'code' : 'password');
  const refusal = refusals.find((each) => each === asked.get('error'));

  if (step === 'forgot') return <Forgot back={() => setStep('password')} />;
  return (
    <Page title={t(step === 'code' ? 'signIn.code.title' : 'signIn.title')}>
      <Paper withBorder p="lg">
        <SignInForm
          atCode={atCode}
          refused={asked.has('error') ? t(`signIn.refused.${refusal ?? 'provider'}`) : undefined}
          back={`/portal${nextPage() ?? '/'}`}
          entered={refresh}
          onStep={setStep}
        />
      </Paper>
      {step === 'password' && (
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
      )}
    </Page>
  );
}

function Forgot({ back }: { readonly back: () => void }): ReactNode {
  const { t } = useTranslation('visitor');
  const { mail } = useSession().session.signIn;
  const [email, setEmail] = useState('');
  const forgot = useMutation({ mutationFn: () => api.post('/password-resets', { email }) });
  return (
    <Page title={t('signIn.forgot')} lead={t(mail ? 'signIn.forgotMail' : 'signIn.forgotNoMail')}>
      <Paper withBorder p="lg" component="form" onSubmit={sending(() => forgot.mutate())}>
        <Stack>
          {mail && (
            <TextInput
              label={t('signIn.email')}
              type="email"
              value={email}
              onChange={(event) => setEmail(event.currentTarget.value)}
              autoComplete="username"
              required
            />
          )}
          {forgot.isSuccess && <Text role="status">{t('signIn.sent')}</Text>}
          <Against error={forgot.error} />
          {mail && (
            <Button type="submit" loading={forgot.isPending}>
              {t('signIn.sendLink')}
            </Button>
          )}
          <Button variant="default" onClick={back}>
            {t('signIn.title')}
          </Button>
        </Stack>
      </Paper>
    </Page>
  );
}
