// A member's first page: what is used and what is left, the first key, and settings to copy.
import { Button, Paper, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconClock, IconKey, IconPencil } from '@tabler/icons-react';
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { useGet } from '../api.ts';
import type { Key, KeyWithSecret, Limit, PageOf } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { Limits } from './limits.tsx';
import { NewKey, Secret } from './new-key.tsx';
import { Setups } from './setups.tsx';
import { Standing } from './standing.tsx';

export default function Home(): ReactNode {
  const { t } = useTranslation('member');
  const { session } = useSession();
  const { person, account } = session;
  return <Page title={t('home.title', { name: person?.name ?? '' })}>{account ? <Inside /> : <Outside />}</Page>;
}

/** No account yet: what became of the application. */
function Outside(): ReactNode {
  const { t } = useTranslation('member');
  const { session, refresh } = useSession();
  const { application } = session;
  const waits = application?.status === 'pending';
  useEffect(() => {
    if (!waits) return undefined;
    const timer = setInterval(() => void refresh(), 5_000);
    return () => clearInterval(timer);
  }, [waits, refresh]);
  if (waits) {
    const unconfirmed = session.signIn.mail && application.confirmedAt === null;
    return (
      <Empty
        icon={<IconClock size={28} />}
        text={unconfirmed ? t('home.confirm', { email: application.email }) : t('home.waits')}
      />
    );
  }
  return (
    <Empty
      icon={<IconPencil size={28} />}
      text={
        application?.status === 'rejected'
          ? `${t('home.rejected')} ${application.decision === null ? '' : t('home.word', { word: application.decision })}`
          : t('home.none')
      }
      action={
        session.registration.mode !== 'closed' && (
          <Button component={Link} href="/apply">
            {t('home.apply')}
          </Button>
        )
      }
    />
  );
}

function Inside(): ReactNode {
  const { t } = useTranslation('member');
  const { session } = useSession();
  const limits = useGet<PageOf<Limit>>('/me/limits', {}, 10_000);
  const keys = useGet<PageOf<Key>>('/me/keys', { limit: 200 });
  const working = keys.data?.items.filter(({ status }) => status === 'active') ?? [];
  const word = session.application?.decision;
  const [made, setMade] = useState<KeyWithSecret>();
  return (
    <Stack gap="lg">
      <Standing />
      {word !== null && word !== undefined && <Text>{t('home.word', { word })}</Text>}
      {keys.data && working.length === 0 && (
        <Empty
          icon={<IconKey size={28} />}
          title={t('home.first')}
          text={t('home.firstText')}
          action={<NewKey label={t('home.first')} made={setMade} />}
        />
      )}
      <Paper withBorder p="md">
        <Title order={2} size="h4" mb="sm">
          {t('home.limits')}
        </Title>
        {limits.error && <Trouble problem={limits.error} retry={() => void limits.refetch()} />}
        {limits.isPending && <Skeleton height={60} />}
        {limits.data && <Limits limits={limits.data.items} />}
      </Paper>
      <Paper withBorder p="md">
        <Title order={2} size="h4">
          {t('home.setups')}
        </Title>
        <Text size="sm" c="dimmed" mb="sm">
          {t('home.setupsText')}
        </Text>
        <Setups />
      </Paper>
      <Secret made={made} done={() => setMade(undefined)} />
    </Stack>
  );
}
