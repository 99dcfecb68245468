// Choosing a new password, with a one-time link.
import { Button, Paper, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { api } from '../api.ts';
import { Page } from '../shell/page.tsx';
import { Against, NewPassword, sending } from './form.tsx';
import { Linked } from './link.tsx';

export default function Reset(): ReactNode {
  const { t } = useTranslation('visitor');
  return (
    <Page title={t('reset.title')} lead={t('reset.lead')}>
      <Linked purpose="password">{(code) => <Form code={code} />}</Linked>
    </Page>
  );
}

function Form({ code }: { readonly code: string }): ReactNode {
  const { t } = useTranslation('visitor');
  const [password, setPassword] = useState('');
  const send = useMutation({ mutationFn: () => api.post('/password-resets/confirm', { code, password }) });
  return (
    <Paper withBorder p="lg" component="form" onSubmit={sending(() => send.mutate())}>
      {send.isSuccess ? (
        <Stack>
          <Text role="status">{t('reset.done')}</Text>
          <Button component={Link} href="/sign-in">
            {t('signIn.title')}
          </Button>
        </Stack>
      ) : (
        <Stack>
          <NewPassword label={t('reset.password')} value={password} onChange={setPassword} />
          <Against error={send.error} />
          <Button type="submit" loading={send.isPending}>
            {t('reset.send')}
          </Button>
        </Stack>
      )}
    </Paper>
  );
}
