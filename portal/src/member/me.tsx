// The profile page: name, ways to sign in, sessions, stored data, and deleting the account.
import { Badge, Button, Group, Paper, Stack, Text, TextInput, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation } from 'wouter';
import { api, useAct } from '../api.ts';
import { IconDownload } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { Page } from '../shell/page.tsx';
import { Passkeys } from './passkeys.tsx';
import { Password } from './password.tsx';
import { Totp } from './totp.tsx';
import { Visits } from './visits.tsx';

export function Part({ title, children }: { readonly title: string; readonly children: ReactNode }): ReactNode {
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h4" mb="sm">
        {title}
      </Title>
      <Stack gap="sm">{children}</Stack>
    </Paper>
  );
}

export default function Me(): ReactNode {
  const { t } = useTranslation('member');
  return (
    <Page title={t('me.title')}>
      <Part title={t('me.profile')}>
        <Profile />
      </Part>
      <Part title={t('me.password')}>
        <Password />
      </Part>
      <Part title={t('me.passkeys')}>
        <Passkeys />
      </Part>
      <Part title={t('me.totp')}>
        <Totp />
      </Part>
      <Part title={t('me.sessions')}>
        <Visits />
      </Part>
      <Part title={t('me.data')}>
        <Stored />
      </Part>
    </Page>
  );
}

function Profile(): ReactNode {
  const { t } = useTranslation('member');
  const { session, refresh } = useSession();
  const { person } = session;
  const [name, setName] = useState(person?.name ?? '');
  const save = useAct(
    async () => {
      await api.patch('/me', { name });
      await refresh();
    },
    { done: t('me.saved') },
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(undefined);
      }}
    >
      <Stack gap="sm" maw={420}>
        <TextInput
          label={t('me.name')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          autoComplete="name"
          maxLength={200}
          required
        />
        <Group gap="xs">
          <Text size="sm">{person?.email}</Text>
          <Badge variant="light" color={person?.emailVerified === true ? 'teal' : 'gray'}>
            {t(person?.emailVerified === true ? 'me.verified' : 'me.unverified')}
          </Badge>
        </Group>
        <Button type="submit" w="fit-content" loading={save.isPending}>
          {t('me.save')}
        </Button>
      </Stack>
    </form>
  );
}

function Stored(): ReactNode {
  const { t } = useTranslation('member');
  const { refresh } = useSession();
  const ask = useAsk();
  const [, go] = useLocation();
  const leave = useAct(
    async () => {
      await api.delete('/me');
      await refresh();
      go('/');
    },
    { done: t('me.left') },
  );
  const onLeave = async (): Promise<void> => {
    const word = t('me.leaveWord');
    if (await ask({ title: t('me.leave'), text: t('me.leaveText'), act: t('me.leave'), type: word }))
      leave.mutate(undefined);
  };
  return (
    <>
      <Text size="sm">{t('me.dataText')}</Text>
      <Group>
        <Button
          component="a"
          href="/management/v1/me/export"
          download="sekisho-me.json"
          variant="default"
          leftSection={<IconDownload size={18} />}
        >
          {t('me.export')}
        </Button>
        <Button variant="light" color="red" loading={leave.isPending} onClick={() => void onLeave()}>
          {t('me.leave')}
        </Button>
      </Group>
    </>
  );
}
