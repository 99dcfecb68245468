// The home page of a member: usage and what is left, the first key, and settings to copy.
import { Alert, Anchor, Button, Paper, Skeleton, Stack, Text, Title } from '@mantine/core';
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { useGet } from '../api.ts';
import type { Key, KeyWithSecret, Limit, PageOf, Session } from '../api-types.ts';
import { IconAlertTriangle, IconClock, IconKey, IconPencil } from '../icons.ts';
import { useSession } from '../session.tsx';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { ServersDown } from '../shell/servers-down.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';
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

/** Without an account: the status of the application. */
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
      <Stack>
        <Empty
          icon={<IconClock size={28} />}
          text={unconfirmed ? t('home.confirm', { email: application.email }) : t('home.waits')}
        />
        <Waiting application={application} />
      </Stack>
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

/** The content of the application, and how to sign in again. */
function Waiting({ application }: { readonly application: NonNullable<Session['application']> }): ReactNode {
  const { t } = useTranslation('member');
  const { moment, list } = useWriting();
  const { person } = useSession().session;
  const facts = [
    [t('home.applied.when'), moment(application.createdAt)],
    [t('home.applied.purpose'), application.purpose],
    ...(application.models.length > 0 ? [[t('home.applied.models'), list(application.models)]] : []),
    [t('home.applied.number'), application.id.slice(-6)],
  ] as const;
  return (
    <>
      {person?.addressTaken === true && <AddressTaken email={application.email} />}
      <Paper withBorder p="md">
        <Title order={2} size="h4" mb="sm">
          {t('home.applied.title')}
        </Title>
        <Stack gap="xs">
          {facts.map(([name, value]) => (
            <div key={name}>
              <Text size="sm" c="dimmed">
                {name}
              </Text>
              <Text size="sm" style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
                {value}
              </Text>
            </div>
          ))}
        </Stack>
      </Paper>
    </>
  );
}

/** Without mail, addresses are not confirmed, so the first person who gave an address has it, and others sign in by other means. */
function AddressTaken({ email }: { readonly email: string }): ReactNode {
  const { t } = useTranslation('member');
  return (
    <Alert color="orange" icon={<IconAlertTriangle size={20} />} title={t('home.taken.title', { email })}>
      <Text size="sm">{t('home.taken.text')}</Text>
      <Anchor component={Link} href="/me" size="sm">
        {t('home.taken.act')}
      </Anchor>
    </Alert>
  );
}

function Inside(): ReactNode {
  const { t } = useTranslation('member');
  const { session } = useSession();
  const { view } = session;
  const limits = useGet<PageOf<Limit>>('/me/limits', {}, 10_000);
  const keys = useGet<PageOf<Key>>('/me/keys', { limit: 200 });
  const working = keys.data?.items.filter(({ status }) => status === 'active') ?? [];
  const word = session.application?.decision;
  const [made, setMade] = useState<KeyWithSecret>();
  return (
    <Stack gap="lg">
      {session.person?.addressTaken === true && !view && <AddressTaken email={session.person.email} />}
      <ServersDown />
      <Standing />
      {word !== null && word !== undefined && <Text>{t('home.word', { word })}</Text>}
      {keys.data && working.length === 0 && view && <Empty icon={<IconKey size={28} />} text={t('keys.noneSeen')} />}
      {keys.data && working.length === 0 && !view && (
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
          {t(view ? 'home.setupsSeen' : 'home.setupsText')}
        </Text>
        <Setups />
      </Paper>
      <Secret made={made} done={() => setMade(undefined)} />
    </Stack>
  );
}
