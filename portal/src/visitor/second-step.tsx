// The second step of signing in: digits of an authenticator app, or a backup code.
import { Anchor, Button, PinInput, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { auth } from '../auth.ts';
import { Against, sending } from './form.tsx';

export function SecondStep({
  entered,
  restart,
}: {
  readonly entered: () => Promise<void>;
  readonly restart: () => void;
}): ReactNode {
  const { t } = useTranslation('visitor');
  const [backup, setBackup] = useState(false);
  const [code, setCode] = useState('');
  const [against, setAgainst] = useState<string>();
  const verify = useMutation({
    mutationFn: (digits: string) =>
      backup ? auth.twoFactor.verifyBackupCode({ code: digits.trim() }) : auth.twoFactor.verifyTotp({ code: digits }),
    onSuccess: async ({ error }) => {
      if (!error) {
        await entered();
        return;
      }
      setCode('');
      if (error.status === 429) setAgainst(t('signIn.tooMany', { seconds: 30 }));
      else
        setAgainst(
          t(/EXPIRED|INVALID_TWO_FACTOR_COOKIE|TOO_MANY/.test(error.code ?? '') ? 'signIn.again' : 'signIn.wrongCode'),
        );
    },
  });
  return (
    <form onSubmit={sending(() => verify.mutate(code))}>
      <Stack>
        {backup ? (
          <TextInput
            label={t('signIn.code.backup')}
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
            autoComplete="off"
            autoFocus
          />
        ) : (
          <Stack gap={4}>
            <Text size="sm" fw={500}>
              {t('signIn.code.totp')}
            </Text>
            <PinInput
              length={6}
              type="number"
              oneTimeCode
              autoFocus
              value={code}
              onChange={setCode}
              onComplete={(digits) => verify.mutate(digits)}
              aria-label={t('signIn.code.totp')}
            />
          </Stack>
        )}
        <Against error={verify.error}>{against}</Against>
        <Button type="submit" loading={verify.isPending}>
          {t('signIn.code.send')}
        </Button>
        <Anchor component="button" type="button" size="sm" onClick={() => setBackup(!backup)}>
          {t(backup ? 'signIn.code.useTotp' : 'signIn.code.useBackup')}
        </Anchor>
        <Anchor component="button" type="button" size="sm" onClick={restart}>
          {t('signIn.title')}
        </Anchor>
      </Stack>
    </form>
  );
}
