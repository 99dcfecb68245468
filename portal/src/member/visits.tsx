// Where somebody is signed in, and ending it there.
import { Badge, Button, Group, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { auth } from '../auth.ts';
import { useWriting } from '../shell/when.ts';

export function Visits(): ReactNode {
  const { t } = useTranslation('member');
  const { moment } = useWriting();
  const list = useQuery({
    queryKey: ['visits'],
    queryFn: async () => {
      const [all, here] = await Promise.all([auth.listSessions(), auth.getSession()]);
      return { all: all.data ?? [], here: here.data?.session.id };
    },
  });
  const end = useMutation({
    mutationFn: (token: string) => auth.revokeSession({ token }),
    onSuccess: async () => {
      notifications.show({ message: t('me.ended'), color: 'teal' });
      await list.refetch();
    },
  });
  const endOthers = useMutation({
    mutationFn: () => auth.revokeOtherSessions(),
    onSuccess: async () => {
      notifications.show({ message: t('me.endedOthers'), color: 'teal' });
      await list.refetch();
    },
  });
  return (
    <Stack gap="sm">
      {list.data?.all.map(({ id, token, userAgent, ipAddress, createdAt }) => (
        <Group key={id} justify="space-between">
          <Text size="sm">
            {browserOf(userAgent ?? '')} · {ipAddress} ·{' '}
            {t('me.since', { when: moment(new Date(createdAt).toISOString()) })}
          </Text>
          {id === list.data.here ? (
            <Badge variant="light" color="teal">
              {t('me.here')}
            </Badge>
          ) : (
            <Button size="compact-sm" variant="light" color="red" onClick={() => end.mutate(token)}>
              {t('me.end')}
            </Button>
          )}
        </Group>
      ))}
      {(list.data?.all.length ?? 0) > 1 && (
        <Button
          w="fit-content"
          variant="light"
          color="red"
          loading={endOthers.isPending}
          onClick={() => endOthers.mutate()}
        >
          {t('me.endOthers')}
        </Button>
      )}
    </Stack>
  );
}

/** The part of a user agent that somebody would recognise. */
function browserOf(userAgent: string): string {
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\/[\d.]+/.exec(userAgent)?.[1] ?? '?';
  const system = /(Windows|Mac OS X|Android|iPhone|iPad|Linux|CrOS)/.exec(userAgent)?.[1] ?? '?';
  return `${browser.replace('Edg', 'Edge').replace('OPR', 'Opera')}, ${system.replace('Mac OS X', 'macOS')}`;
}
