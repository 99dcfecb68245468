// Changes the password. Every other session ends, and passkeys are removed unless the person keeps them.
import { Button, Checkbox, PasswordInput, Stack } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { changePassword } from '../auth.ts';
import { useSession } from '../session.tsx';
import { Against, NewPassword, sending } from '../visitor/form.tsx';
import { againstProof, CodeField } from './totp.tsx';

export function Password(): ReactNode {
  const { t } = useTranslation('member');
  const [current, setCurrent] = useState('');
  const [fresh, setFresh] = useState('');
  const [keep, setKeep] = useState(false);
  const [code, setCode] = useState('');
  const guarded = useSession().session.person?.twoFactor === true;
  const [against, setAgainst] = useState<string>();
  const client = useQueryClient();
  const change = useMutation({
    mutationFn: () =>
      changePassword({
        currentPassword: current,
        newPassword: fresh,
        keepPasskeys: keep,
        ...(guarded ? { code: code.trim() } : {}),
      }),
    onSuccess: async () => {
      setAgainst(undefined);
      setCurrent('');
      setFresh('');
      setCode('');
      notifications.show({ message: t('me.changed'), color: 'teal' });
      await client.invalidateQueries({ queryKey: ['passkeys'] });
    },
    onError: (error) => {
      setCode('');
      setAgainst(againstProof(error, t));
    },
  });
  return (
    <form onSubmit={sending(() => change.mutate())}>
      <Stack gap="sm" maw={420}>
        <PasswordInput
          label={t('me.current')}
          value={current}
          onChange={(event) => setCurrent(event.currentTarget.value)}
          autoComplete="current-password"
          required
        />
        <NewPassword label={t('me.fresh')} value={fresh} onChange={setFresh} />
        <Checkbox
          label={t('me.keepPasskeys')}
          description={t('me.keepPasskeysText')}
          checked={keep}
          onChange={(event) => setKeep(event.currentTarget.checked)}
        />
        {guarded && <CodeField value={code} onChange={setCode} />}
        <Against>{against}</Against>
        <Button type="submit" w="fit-content" loading={change.isPending}>
          {t('me.change')}
        </Button>
      </Stack>
    </form>
  );
}
