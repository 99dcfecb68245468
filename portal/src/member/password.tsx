// Another password; every other visit ends with the old one, and passkeys go unless their owner keeps them.
import { Button, Checkbox, PasswordInput, Stack } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Problem } from '../api.ts';
import { changePassword } from '../auth.ts';
import { Against, NewPassword, sending } from '../visitor/form.tsx';

export function Password(): ReactNode {
  const { t } = useTranslation('member');
  const [current, setCurrent] = useState('');
  const [fresh, setFresh] = useState('');
  const [keep, setKeep] = useState(false);
  const [against, setAgainst] = useState<string>();
  const client = useQueryClient();
  const change = useMutation({
    mutationFn: () => changePassword({ currentPassword: current, newPassword: fresh, keepPasskeys: keep }),
    onSuccess: async () => {
      setAgainst(undefined);
      setCurrent('');
      setFresh('');
      notifications.show({ message: t('me.changed'), color: 'teal' });
      await client.invalidateQueries({ queryKey: ['passkeys'] });
    },
    onError: (error) => {
      const wrong = error instanceof Problem && error.code === 'INVALID_PASSWORD';
      setAgainst(wrong ? t('visitor:signIn.wrong') : error.message);
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
        <Against>{against}</Against>
        <Button type="submit" w="fit-content" loading={change.isPending}>
          {t('me.change')}
        </Button>
      </Stack>
    </form>
  );
}
