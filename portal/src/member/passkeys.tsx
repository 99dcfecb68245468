// Passkeys: which there are, another one, none.
import { Button, Group, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconFingerprint } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Problem } from '../api.ts';
import { passkeys } from '../auth.ts';
import { useSession } from '../session.tsx';
import { useWriting } from '../shell/when.ts';

export function Passkeys(): ReactNode {
  const { t } = useTranslation('member');
  const { session } = useSession();
  const { moment } = useWriting();
  const list = useQuery({
    queryKey: ['passkeys'],
    queryFn: () => passkeys.list(),
  });
  const say = (message: string, color: 'teal' | 'red'): void => void notifications.show({ message, color });
  const add = useMutation({
    mutationFn: () => passkeys.add(session.person?.email || session.person?.name || 'Sekisho'),
    onSuccess: async () => {
      say(t('me.passkeyAdded'), 'teal');
      await list.refetch();
    },
    onError: (error) => {
      const stale = error instanceof Problem && error.code === 'sign_in_again';
      say(t(stale ? 'shell:trouble.signInAgain' : 'me.passkeyFailed'), 'red');
    },
  });
  const remove = useMutation({
    mutationFn: (id: string) => passkeys.remove(id),
    onSuccess: async () => {
      say(t('me.removed'), 'teal');
      await list.refetch();
    },
  });
  return (
    <Stack gap="sm">
      <Text size="sm">{t('me.passkeysText')}</Text>
      {list.data?.length === 0 && (
        <Text size="sm" c="dimmed">
          {t('me.passkeyNone')}
        </Text>
      )}
      {list.data?.map(({ id, name, createdAt }) => (
        <Group key={id} justify="space-between">
          <Text size="sm">
            {name} · {t('me.since', { when: moment(createdAt) })}
          </Text>
          <Button size="compact-sm" variant="light" color="red" onClick={() => remove.mutate(id)}>
            {t('me.remove')}
          </Button>
        </Group>
      ))}
      <Button
        w="fit-content"
        variant="default"
        leftSection={<IconFingerprint size={18} />}
        loading={add.isPending}
        onClick={() => add.mutate()}
      >
        {t('me.passkeyAdd')}
      </Button>
    </Stack>
  );
}
