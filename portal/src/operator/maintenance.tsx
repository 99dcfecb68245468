// Maintenance mode: whether new calls are refused, with which message, and until when.
import { Alert, Button, Group, Paper, Skeleton, Stack, Text, Textarea, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct, useGet } from '../api.ts';
import type { Maintenance as State } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { MomentInput } from '../shell/moment-input.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';
import { sending } from '../visitor/form.tsx';

export function Maintenance(): ReactNode {
  const { t } = useTranslation('notices');
  const state = useGet<State>('/maintenance');
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h4" mb={4}>
        {t('maintenance.title')}
      </Title>
      <Text size="sm" c="dimmed" mb="sm">
        {t('maintenance.lead')}
      </Text>
      {state.error && <Trouble problem={state.error} retry={() => void state.refetch()} />}
      {state.isPending && <Skeleton height={160} />}
      {state.data && <Form key={JSON.stringify(state.data)} state={state.data} />}
    </Paper>
  );
}

function Form({ state }: { readonly state: State }): ReactNode {
  const { t } = useTranslation('notices');
  const { moment } = useWriting();
  const { operates, refresh } = useSession();
  const [message, setMessage] = useState(state.message ?? '');
  const [until, setUntil] = useState(state.until);
  const change = useAct(
    async (on: boolean) => {
      const words = message.trim();
      const said = { message: words === '' ? null : words, until };
      await api.patch('/maintenance', on ? { on, ...said } : { on });
      await refresh();
    },
    { done: t('maintenance.saved'), refresh: ['/maintenance', '/audit'] },
  );
  return (
    <form onSubmit={sending(() => change.mutate(true))}>
      <Stack>
        <Alert color={state.on ? 'orange' : 'gray'} role="status">
          {state.on ? t('maintenance.on', { since: moment(state.since) }) : t('maintenance.off')}
        </Alert>
        <Textarea
          label={t('maintenance.message')}
          description={t('maintenance.messageHint')}
          value={message}
          onChange={(event) => setMessage(event.currentTarget.value)}
          maxLength={500}
          autosize
          readOnly={!operates}
        />
        <MomentInput
          label={t('maintenance.until')}
          hint={t('maintenance.untilHint')}
          value={until}
          onChange={setUntil}
          readOnly={!operates}
        />
        {operates && (
          <Group>
            <Button type="submit" loading={change.isPending}>
              {t(state.on ? 'maintenance.save' : 'maintenance.begin')}
            </Button>
            {state.on && (
              <Button variant="default" loading={change.isPending} onClick={() => change.mutate(false)}>
                {t('maintenance.end')}
              </Button>
            )}
          </Group>
        )}
      </Stack>
    </form>
  );
}
