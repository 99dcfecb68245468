// Sets up an account with a one-time link, such as that of the first operator.
import { Button, Paper, Stack, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation } from 'wouter';
import { api } from '../api.ts';
import { useSession } from '../session.tsx';
import { Page } from '../shell/page.tsx';
import { Against, NewPassword, sending } from './form.tsx';
import { Linked } from './link.tsx';

export default function Setup(): ReactNode {
  const { t } = useTranslation('visitor');
  return (
    <Page title={t('setup.titleOther')} lead={t('setup.lead')}>
      <Linked purpose="setup">{(code) => <Form code={code} />}</Linked>
    </Page>
  );
}

function Form({ code }: { readonly code: string }): ReactNode {
  const { t } = useTranslation('visitor');
  const { refresh } = useSession();
  const [, go] = useLocation();
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const send = useMutation({
    mutationFn: () => api.post('/setup', { code, name, email, password }),
    onSuccess: async () => {
      await refresh();
      go('/', { replace: true });
    },
  });
  return (
    <Paper withBorder p="lg" component="form" onSubmit={sending(() => send.mutate())}>
      <Stack>
        <TextInput
          label={t('apply.name')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          autoComplete="name"
          required
        />
        <TextInput
          label={t('apply.email')}
          type="email"
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
          autoComplete="username"
          required
        />
        <NewPassword
          label={t('apply.password')}
          hint={t('apply.passwordHint')}
          value={password}
          onChange={setPassword}
        />
        <Against error={send.error} />
        <Button type="submit" size="md" loading={send.isPending}>
          {t('setup.send')}
        </Button>
      </Stack>
    </Paper>
  );
}
