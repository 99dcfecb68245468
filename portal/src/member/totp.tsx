// The second step: an authenticator app is set up with a QR code, a key or a link, shown to work, and switched off with the
// password and a code. While it is on, its backup codes can be replaced.
import { Anchor, Box, Button, Group, PasswordInput, Skeleton, Stack, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import type { TFunction } from 'i18next';
import { lazy, type ReactNode, Suspense, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Problem, wordsOf } from '../api.ts';
import { auth, endSecondStep } from '../auth.ts';
import { useSession } from '../session.tsx';
import { Copy } from '../shell/copy.tsx';
import { Against, sending } from '../visitor/form.tsx';
import { BackupCodes, RenewBackupCodes } from './backup-codes.tsx';

const QrCode = lazy(() => import('./qr-code.tsx'));

interface Begun {
  readonly totpURI: string;
  readonly backupCodes: readonly string[];
}

/** A field for a code of the second step, if the action requires one. */
export function CodeField({
  value,
  onChange,
}: {
  readonly value: string;
  readonly onChange: (value: string) => void;
}): ReactNode {
  const { t } = useTranslation('member');
  return (
    <TextInput
      label={t('me.code')}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      autoComplete="one-time-code"
      maxLength={100}
      required
    />
  );
}

/** The message for a wrong password or code. */
export function againstProof(error: Error, t: TFunction<'member'>): string {
  if (error instanceof Problem && error.code === 'INVALID_PASSWORD') return t('visitor:signIn.wrongPassword');
  if (error instanceof Problem && error.code === 'INVALID_CODE') return t('visitor:signIn.wrongCode');
  return wordsOf(error);
}

export function Totp(): ReactNode {
  const { t } = useTranslation('member');
  const { session, refresh } = useSession();
  const on = session.person?.twoFactor === true;
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [begun, setBegun] = useState<Begun>();
  const [against, setAgainst] = useState<string>();
  const say = (message: string): void => void notifications.show({ message, color: 'teal' });
  const begin = useMutation({
    mutationFn: () => auth.twoFactor.enable({ password }),
    onSuccess: ({ data, error }) => {
      setAgainst(error ? t('visitor:signIn.wrong') : undefined);
      if (data && 'totpURI' in data) setBegun(data);
      setPassword('');
    },
  });
  const finish = useMutation({
    mutationFn: () => auth.twoFactor.verifyTotp({ code: code.replaceAll(/\s/g, '') }),
    onSuccess: async ({ error }) => {
      setAgainst(error ? t('visitor:signIn.wrongCode') : undefined);
      if (error) return;
      say(t('me.totpDone'));
      setCode('');
      await refresh();
    },
  });
  const end = useMutation({
    mutationFn: () => endSecondStep({ password, code: code.trim() }),
    onSuccess: async () => {
      setAgainst(undefined);
      say(t('me.totpEnded'));
      setPassword('');
      setCode('');
      setBegun(undefined);
      await refresh();
    },
    onError: (error) => {
      setCode('');
      setAgainst(againstProof(error, t));
    },
  });
  return (
    <Stack gap="sm">
      <Text size="sm">{t(on ? 'me.totpOn' : 'me.totpOff')}</Text>
      {begun && <SetUp begun={begun} on={on} />}
      {on && !begun && <RenewBackupCodes />}
      {begun && !on ? (
        <form onSubmit={sending(() => finish.mutate())}>
          <Stack gap="sm" maw={420}>
            <TextInput
              label={t('me.totpCode')}
              value={code}
              onChange={(event) => setCode(event.currentTarget.value)}
              inputMode="numeric"
              autoComplete="one-time-code"
              required
            />
            <Against>{against}</Against>
            <Button type="submit" w="fit-content" loading={finish.isPending}>
              {t('me.totpSave')}
            </Button>
          </Stack>
        </form>
      ) : (
        <form onSubmit={sending(() => (on ? end.mutate() : begin.mutate()))}>
          <Stack gap="sm" maw={420}>
            <PasswordInput
              label={t('me.confirmPassword')}
              value={password}
              onChange={(event) => setPassword(event.currentTarget.value)}
              autoComplete="current-password"
              required
            />
            {on && <CodeField value={code} onChange={setCode} />}
            <Against>{against}</Against>
            <Button
              type="submit"
              w="fit-content"
              variant={on ? 'light' : 'default'}
              {...(on ? { color: 'red' } : {})}
              loading={begin.isPending || end.isPending}
            >
              {t(on ? 'me.totpEnd' : 'me.totpBegin')}
            </Button>
          </Stack>
        </form>
      )}
    </Stack>
  );
}

/** What the app needs, and the backup codes; once it is on, only those. */
function SetUp({ begun, on }: { readonly begun: Begun; readonly on: boolean }): ReactNode {
  const { t } = useTranslation('member');
  const secret = new URL(begun.totpURI).searchParams.get('secret') ?? '';
  return (
    <>
      {!on && (
        <>
          <Text size="sm">{t('me.totpScan')}</Text>
          <Group gap="lg" align="flex-start">
            <Box w={220} maw="100%">
              <Suspense fallback={<Skeleton w={220} h={220} />}>
                <QrCode text={begun.totpURI} label={t('me.totpQr')} />
              </Suspense>
            </Box>
            <Stack gap="xs" style={{ flex: '1 1 14rem' }}>
              <Text size="sm">{t('me.totpType')}</Text>
              <Box style={{ overflowWrap: 'anywhere' }}>
                <Copy text={secret} label={t('me.totpSecret')} />
              </Box>
              <Anchor href={begun.totpURI} size="sm">
                {t('me.totpOpen')}
              </Anchor>
            </Stack>
          </Group>
        </>
      )}
      <Text size="sm">{t('me.backup')}</Text>
      <BackupCodes codes={begun.backupCodes} />
    </>
  );
}
