// The form for signing in: password, passkey or provider, and the second step. Used by the sign-in page and by the dialog for
// signing in again.
import { Button, Divider, PasswordInput, Stack, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Problem, wordsOf } from '../api.ts';
import { auth, passkeys, signInAt } from '../auth.ts';
import { IconFingerprint, IconLogin2 } from '../icons.ts';
import { useSession } from '../session.tsx';
import { Against, sending } from './form.tsx';
import { SecondStep } from './second-step.tsx';

interface Failure {
  readonly status: number;
  readonly code?: string | undefined;
}

/** Escape in this form only closes its own dialog. */
const kept = { 'data-mantine-stop-propagation': 'true' } as const;

export interface SignInFormProps {
  /** The address, if the person is known. */
  readonly known?: string | undefined;
  /** The error of an earlier attempt. */
  readonly refused?: string | undefined;
  readonly atCode?: boolean;
  /** The page to return to from a provider, including /portal. */
  readonly back: string;
  readonly entered: () => Promise<void>;
  /** The current step. */
  readonly onStep?: (step: 'password' | 'code') => void;
}

export function SignInForm({ known, refused, atCode, back, entered, onStep }: SignInFormProps): ReactNode {
  const { t } = useTranslation('visitor');
  const { providers } = useSession().session.signIn;
  const [email, setEmail] = useState(known ?? '');
  const [password, setPassword] = useState('');
  const [step, setStep] = useState<'password' | 'code'>(atCode === true ? 'code' : 'password');
  const [against, setAgainst] = useState(refused);
  const show = (next: 'password' | 'code'): void => {
    setStep(next);
    onStep?.(next);
  };

  const explain = ({ status }: Failure, wrong: string): string =>
    status === 429 ? t('signIn.tooMany', { seconds: 30 }) : wrong;
  const byPassword = useMutation({
    mutationFn: () => auth.signIn.email({ email, password }),
    onSuccess: async ({ data, error }) => {
      setAgainst(error ? explain(error, t('signIn.wrong')) : undefined);
      if (error) return;
      if ('twoFactorRedirect' in data && data.twoFactorRedirect === true) show('code');
      else await entered();
    },
  });
  const byPasskey = useMutation({
    mutationFn: () => passkeys.signIn(),
    onSuccess: async () => {
      setAgainst(undefined);
      await entered();
    },
    // The browser's own errors are in its own language, and say little.
    onError: (error) => setAgainst(error instanceof Problem ? wordsOf(error) : t('signIn.passkeyFailed')),
  });
  const byProvider = useMutation({
    mutationFn: (provider: string) => signInAt(provider, back),
    onError: (error) => setAgainst(wordsOf(error)),
  });

  if (step === 'code') return <SecondStep entered={entered} restart={() => show('password')} />;
  return (
    <Stack>
      <form onSubmit={sending(() => byPassword.mutate())}>
        <Stack>
          <TextInput
            {...kept}
            label={t('signIn.email')}
            type="email"
            value={email}
            onChange={(event) => setEmail(event.currentTarget.value)}
            autoComplete="username webauthn"
            required
          />
          <PasswordInput
            {...kept}
            label={t('signIn.password')}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            autoComplete="current-password"
            required
            data-autofocus={known !== undefined}
            // A dialog that is open before this form is loaded looks for its first field too early.
            autoFocus={known !== undefined}
          />
          <Against error={byPassword.error}>{against}</Against>
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
  );
}
