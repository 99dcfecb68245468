// Applications, to approve with a plan or to reject; and invitations.
import { Alert, Anchor, Badge, Button, Group, Paper, Skeleton, Stack, Text, Textarea, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { api, useAct, usePages } from '../api.ts';
import type { Application, OneTimeLink } from '../api-types.ts';
import { IconHandStop, IconInbox } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useChosenOf } from '../shell/address.ts';
import { useAsk } from '../shell/ask.tsx';
import { Empty } from '../shell/empty.tsx';
import { More } from '../shell/more.tsx';
import { Page } from '../shell/page.tsx';
import { Segments } from '../shell/segments.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';
import { Invites } from './invites.tsx';
import { LinkShown } from './link-shown.tsx';
import { PlanChoice } from './plan-choice.tsx';

const statuses = ['pending', 'approved', 'rejected'] as const;

export default function Applications(): ReactNode {
  const { t } = useTranslation('operator');
  const { operates } = useSession();
  const [status, setStatus] = useChosenOf('status', statuses, 'pending');
  const { rows, query } = usePages<Application>('/applications', { status });
  return (
    <Page title={t('applications.title')} help="portal" lead={t('applications.lead')}>
      <Group>
        <Segments
          label={t('applications.title')}
          value={status}
          onChange={setStatus}
          data={statuses.map((value) => ({ value, label: t(`applications.status.${value}`) }))}
        />
      </Group>
      {query.error && <Trouble problem={query.error} retry={() => void query.refetch()} />}
      {query.isPending && <Skeleton height={120} />}
      {query.data !== undefined && rows.length === 0 && (
        <Empty
          icon={<IconInbox size={28} />}
          text={t(
            status !== 'pending'
              ? 'applications.emptyOther'
              : operates
                ? 'applications.empty'
                : 'applications.noneSeen',
          )}
          action={
            status === 'pending' &&
            operates && (
              <Button component={Link} href="/operate/settings" variant="default">
                {t('applications.settings')}
              </Button>
            )
          }
        />
      )}
      <Stack>
        {rows.map((application) => (
          <One key={application.id} application={application} />
        ))}
      </Stack>
      <More query={query} />
      <Invites />
    </Page>
  );
}

/** How long a rejection can be undone. */
const isRecent = (time: string | null): boolean => time !== null && Date.parse(time) > Date.now() - 10 * 60_000;

function One({ application }: { readonly application: Application }): ReactNode {
  const { t } = useTranslation('operator');
  const { operates } = useSession();
  const { moment, relative, list, labeled } = useWriting();
  const [plan, setPlan] = useState<string | null>(application.wantedPlan);
  const [word, setWord] = useState('');
  const [link, setLink] = useState<string>();
  const decide = useAct(
    (verb: 'approve' | 'reject') =>
      api.post(`/applications/${application.id}/${verb}`, {
        ...(verb === 'approve' && plan !== null ? { plan } : {}),
        ...(word.trim() === '' ? {} : { decision: word.trim() }),
      }),
    { refresh: ['/applications', '/accounts'] },
  );
  const reconsider = useAct(() => api.post(`/applications/${application.id}/reconsider`), {
    done: t('applications.reconsidered'),
    refresh: ['/applications'],
  });
  const ask = useAsk();
  const reject = async (): Promise<void> => {
    const question = {
      title: t('applications.rejectTitle', { name: application.name }),
      text: t('applications.rejectText'),
      act: t('applications.reject'),
    };
    if (!(await ask(question))) return;
    decide.mutate('reject', {
      onSuccess: () =>
        notifications.show({
          id: application.id,
          autoClose: 30_000,
          message: (
            <Group justify="space-between" wrap="nowrap">
              {t('applications.rejected')}
              <Button
                size="compact-sm"
                variant="default"
                onClick={() => {
                  notifications.hide(application.id);
                  reconsider.mutate(undefined);
                }}
              >
                {t('applications.undo')}
              </Button>
            </Group>
          ),
        }),
    });
  };
  const makeLink = useAct(() => api.post<OneTimeLink>(`/applications/${application.id}/link`));
  const { name, email, purpose, models, status, confirmedAt, account, decidedByName, decidedAt, decision, held } =
    application;
  return (
    <Paper withBorder p="md">
      <Stack gap="xs">
        <Group justify="space-between" align="flex-start">
          <div>
            <Title order={2} size="h5">
              {name}
            </Title>
            <Text size="sm">{email}</Text>
          </div>
          <Group gap="xs">
            <Badge variant="light" color={confirmedAt === null ? 'gray' : 'teal'}>
              {t(confirmedAt === null ? 'applications.unconfirmed' : 'applications.confirmed')}
            </Badge>
            <Text size="sm" c="dimmed" title={moment(application.createdAt)}>
              {relative(application.createdAt)}
            </Text>
          </Group>
        </Group>
        <Text dir="auto" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
          {purpose}
        </Text>
        {models.length > 0 && (
          <Text size="sm" c="dimmed">
            {labeled(t('applications.models'), list(models))}
          </Text>
        )}
        {status === 'pending' && held !== null && (
          <Alert color="yellow" icon={<IconHandStop size={18} />} py="xs">
            {t(`applications.held.${held}`)}
          </Alert>
        )}
        {status === 'pending' && operates && (
          <>
            <Group align="flex-end" grow preventGrowOverflow={false}>
              <PlanChoice
                label={t('applications.plan')}
                placeholder={t('applications.planUsual')}
                value={plan}
                onChange={setPlan}
                clearable
              />
              <Textarea
                label={t('applications.word')}
                value={word}
                onChange={(event) => setWord(event.currentTarget.value)}
                autosize
                maxLength={2000}
              />
            </Group>
            <Group>
              <Button loading={decide.isPending} onClick={() => decide.mutate('approve')}>
                {t('applications.approve')}
              </Button>
              <Button variant="light" color="red" loading={decide.isPending} onClick={() => void reject()}>
                {t('applications.reject')}
              </Button>
              {confirmedAt === null && (
                <Button
                  variant="default"
                  loading={makeLink.isPending}
                  onClick={() => makeLink.mutate(undefined, { onSuccess: ({ url }) => setLink(url) })}
                >
                  {t('applications.link')}
                </Button>
              )}
            </Group>
          </>
        )}
        {status !== 'pending' && (
          <Text size="sm" c="dimmed">
            {[t(`applications.status.${status}`), moment(decidedAt), t('applications.by', { who: decidedByName })].join(
              ' · ',
            )}
            {decision === null ? '' : ` · ${decision}`}
          </Text>
        )}
        {status === 'rejected' && operates && isRecent(decidedAt) && (
          <Button
            size="compact-sm"
            variant="default"
            w="fit-content"
            loading={reconsider.isPending}
            onClick={() => reconsider.mutate(undefined)}
          >
            {t('applications.undo')}
          </Button>
        )}
        {account !== null && (
          <Anchor component={Link} href={`/operate/accounts/${account}`} size="sm">
            {t('applications.account')}
          </Anchor>
        )}
      </Stack>
      <LinkShown
        title={t('applications.link')}
        text={t('applications.linkText')}
        url={link}
        close={() => setLink(undefined)}
      />
    </Paper>
  );
}
