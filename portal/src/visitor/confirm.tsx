// Confirming an address: a button, because machines open links in letters too.
import { Button, Paper, Stack, Text } from '@mantine/core';
import { IconLinkOff } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { api } from '../api.ts';
import { useSession } from '../session.tsx';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { Against, linkCode, sending } from './form.tsx';

export default function Confirm(): ReactNode {
  const { t } = useTranslation('visitor');
  const { refresh } = useSession();
  const [code] = useState(linkCode);
  const [done, setDone] = useState(false);
  const send = useMutation({
    mutationFn: () => api.post('/confirmations', { code }),
    onSuccess: async () => {
      setDone(true);
      await refresh();
    },
  });
  return (
    <Page title={t('confirm.title')} lead={t('confirm.lead')}>
      {code === '' ? (
        <Empty icon={<IconLinkOff size={28} />} text={t('setup.missing')} />
      ) : (
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
      )}
    </Page>
  );
}
