// Another password; every other visit ends with the old one.
import { Button, PasswordInput, Stack } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { auth } from '../auth.ts';
import { Against, NewPassword, sending } from '../visitor/form.tsx';

export function Password(): ReactNode {
  const { t } = useTranslation('member');
  const [current, setCurrent] = useState('');
  const [fresh, setFresh] = useState('');
  const [against, setAgainst] = useState<string>();
  const change = useMutation({
    mutationFn: () => auth.changePassword({ currentPassword: current, newPassword: fresh, revokeOtherSessions: true }),
    onSuccess: ({ error }) => {
      setAgainst(error ? (error.message ?? t('visitor:signIn.wrong')) : undefined);
      if (error) return;
      setCurrent('');
      setFresh('');
      notifications.show({ message: t('me.changed'), color: 'teal' });
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
        <Against>{against}</Against>
        <Button type="submit" w="fit-content" loading={change.isPending}>
          {t('me.change')}
        </Button>
      </Stack>
    </form>
  );
}
