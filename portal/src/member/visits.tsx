// Where somebody is signed in, and ending it there.
import { Badge, Button, Group, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { type Problem, wordsOf } from '../api.ts';
import { type Visit, visits } from '../auth.ts';
import { browserNameOf } from '../shell/browser-name.ts';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';

export function Visits(): ReactNode {
  const { t } = useTranslation('member');
  const list = useQuery<readonly Visit[], Problem>({ queryKey: ['visits'], queryFn: visits.list });
  const did = async (message: string): Promise<void> => {
    notifications.show({ message, color: 'teal' });
    await list.refetch();
  };
  const onError = (error: Error): void => void notifications.show({ message: wordsOf(error), color: 'red' });
  const end = useMutation({ mutationFn: visits.end, onSuccess: () => did(t('me.ended')), onError });
  const endOthers = useMutation({ mutationFn: visits.endOthers, onSuccess: () => did(t('me.endedOthers')), onError });
  if (list.error) return <Trouble problem={list.error} retry={() => void list.refetch()} />;
  return (
    <Stack gap="md">
      {list.data?.map((visit) => (
        <Group key={visit.id} justify="space-between" gap="xs">
          <What visit={visit} />
          {visit.here ? (
            <Badge variant="light" color="teal">
              {t('me.here')}
            </Badge>
          ) : (
            <Button
              size="compact-sm"
              variant="light"
              color="red"
              aria-label={t('me.endWhat', { what: browserNameOf(visit.userAgent) ?? t('me.browserUnknown') })}
              onClick={() => end.mutate(visit.id)}
            >
              {t('me.end')}
            </Button>
          )}
        </Group>
      ))}
      {(list.data?.length ?? 0) > 1 && (
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

function What({ visit: { userAgent, address, createdAt, activeAt, here } }: { readonly visit: Visit }): ReactNode {
  const { t } = useTranslation('member');
  const { moment, relative } = useWriting();
  return (
    <div style={{ flex: '1 1 14rem', overflowWrap: 'anywhere' }}>
      <Text size="sm" title={userAgent}>
        {browserNameOf(userAgent) ?? t('me.browserUnknown')}
        {address !== '' && ` · ${address}`}
      </Text>
      <Text size="xs" c="dimmed">
        {t('me.signedInAt', { when: moment(createdAt) })}
        {!here && ` · ${t('me.activeAt', { when: relative(activeAt) })}`}
      </Text>
    </div>
  );
}
