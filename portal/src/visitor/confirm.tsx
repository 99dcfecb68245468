// Confirms an address with a button, because mail scanners open links in emails.
import { Button, Paper, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { api } from '../api.ts';
import { useSession } from '../session.tsx';
import { Page } from '../shell/page.tsx';
import { Against, sending } from './form.tsx';
import { Linked } from './link.tsx';

export default function Confirm(): ReactNode {
  const { t } = useTranslation('visitor');
  return (
    <Page title={t('confirm.title')} lead={t('confirm.lead')}>
      <Linked purpose="confirm">{(code) => <Form code={code} />}</Linked>
    </Page>
  );
}

function Form({ code }: { readonly code: string }): ReactNode {
  const { t } = useTranslation('visitor');
  const { refresh } = useSession();
  const [done, setDone] = useState(false);
  const send = useMutation({
    mutationFn: () => api.post('/confirmations', { code }),
    onSuccess: async () => {
      setDone(true);
      await refresh();
    },
  });
  return (
    <Paper withBorder p="lg" component="form" onSubmit={sending(() => send.mutate())}>
      <Stack>
        {done ? (
          <>
            <Text role="status">{t('confirm.done')}</Text>
            <Button component={Link} href="/sign-in">
              {t('signIn.title')}
            </Button>
          </>
        ) : (
          <>
            <Against error={send.error} />
            <Button type="submit" size="md" loading={send.isPending}>
              {t('confirm.send')}
            </Button>
          </>
        )}
      </Stack>
    </Paper>
  );
}
