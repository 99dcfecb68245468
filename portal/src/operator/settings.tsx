// What can be changed while the gate runs, what encrypts it, and what it runs with.
import { Alert, Anchor, Button, Paper, Radio, Skeleton, Stack, Text, TextInput, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { api, faultOf, useAct, useGet } from '../api.ts';
import type { Connections, Registration } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { type Entered, NumberField } from '../shell/number-field.tsx';
import { Page } from '../shell/page.tsx';
import { useSeen } from '../shell/seen.ts';
import { Quoted } from '../shell/told.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';
import { sending } from '../visitor/form.tsx';
import { Encryption } from './encryption.tsx';
import { PlanChoice } from './plan-choice.tsx';
import { SettingChanges } from './setting-changes.tsx';
import { groups, SettingGroup } from './setting-group.tsx';

const modes = ['open', 'domain', 'invite', 'approval', 'closed'] as const;

export default function Settings(): ReactNode {
  const { t } = useTranslation('policy');
  const registration = useSeen<Registration>('/registration');
  return (
    <Page title={t('settings.title')} help="portal" lead={t('settings.lead')}>
      {registration.error && <Trouble problem={registration.error} retry={() => void registration.refetch()} />}
      {registration.isPending && <Skeleton height={240} />}
      {registration.data && (
        <Applying key={registration.data.etag} registration={registration.data.body} etag={registration.data.etag} />
      )}
      {groups.map((group) => (
        <SettingGroup key={group} group={group} />
      ))}
      <SettingChanges />
      <Encryption />
      <About />
    </Page>
  );
}

function Applying(props: { readonly registration: Registration; readonly etag: string | undefined }): ReactNode {
  const { registration, etag } = props;
  const { t } = useTranslation('policy');
  const { session, operates, refresh } = useSession();
  const [mode, setMode] = useState<string>(registration.mode);
  const [plan, setPlan] = useState<string | null>(registration.plan);
  const [domains, setDomains] = useState(registration.domains.join(', '));
  const [maxPending, setMaxPending] = useState<Entered>(registration.maxPending);
  const save = useAct(
    async () => {
      await api.patch(
        '/registration',
        {
          mode,
          ...(plan === null ? {} : { plan }),
          domains: domains.split(/[,、\s]+/).filter((word) => word !== ''),
          maxPending,
        },
        etag === undefined ? {} : { etag },
      );
      await refresh();
    },
    {
      done: t('settings.saved'),
      refresh: ['/registration', '/setting-changes', '/audit'],
      shows: (field) => (field === 'domains' && mode === 'domain') || (field === 'maxPending' && mode !== 'closed'),
    },
  );
  const { mail } = session.signIn;
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h4" mb="sm">
        {t('settings.registration')}
      </Title>
      <form onSubmit={sending(() => save.mutate(undefined))}>
        <Stack>
          <Radio.Group value={mode} onChange={setMode} aria-label={t('settings.registration')} readOnly={!operates}>
            <Stack gap="xs">
              {modes.map((value) => (
                <Radio key={value} value={value} label={t(`settings.modes.${value}`)} disabled={!operates} />
              ))}
            </Stack>
          </Radio.Group>
          {mode === 'open' && !mail && <Text size="sm">{t('settings.openNoMail')}</Text>}
          {mode === 'domain' && (
            <>
              <TextInput
                label={t('settings.domains')}
                description={t('settings.domainsHint')}
                value={domains}
                onChange={(event) => setDomains(event.currentTarget.value)}
                readOnly={!operates}
                error={faultOf(save.error, 'domains')}
                required
              />
              {!mail && <Text size="sm">{t('settings.domainsNoMail')}</Text>}
            </>
          )}
          {mode !== 'closed' && (
            <>
              <PlanChoice label={t('settings.plan')} value={plan} onChange={setPlan} />
              <NumberField
                label={t('settings.maxPending')}
                value={maxPending}
                onChange={setMaxPending}
                min={0}
                error={faultOf(save.error, 'maxPending')}
                readOnly={!operates}
              />
            </>
          )}
          {operates && (
            <Button type="submit" w="fit-content" loading={save.isPending}>
              {t('settings.save')}
            </Button>
          )}
        </Stack>
      </form>
    </Paper>
  );
}

/** How mail and providers answered last; what went wrong is in the words of the other side. */
function Connected(): ReactNode {
  const { t } = useTranslation('policy');
  const { relative } = useWriting();
  const { data } = useGet<Connections>('/connections', {}, 15_000);
  if (!data) return null;
  const states = [...(data.mail ? [{ name: t('settings.mail'), ...data.mail }] : []), ...data.providers];
  return states.map(({ name, works, at, problem }) => (
    <Alert
      key={name}
      color={works === null ? 'gray' : works ? 'teal' : 'red'}
      py="xs"
      title={name}
      {...(works === false ? { role: 'alert' as const } : {})}
    >
      <Text size="sm">
        {t(works === null ? 'settings.unused' : works ? 'settings.works' : 'settings.fails', {
          when: at === null ? '' : relative(at),
        })}
      </Text>
      {problem !== null && <Quoted told={problem} />}
    </Alert>
  ));
}

function About(): ReactNode {
  const { t } = useTranslation(['policy', 'shell']);
  const { list } = useWriting();
  const { session } = useSession();
  const { gate, signIn } = session;
  const facts: readonly [string, string][] = [
    [t('settings.url'), gate.url],
    [t('settings.timeZone'), gate.timeZone],
    [t('settings.mail'), t(signIn.mail ? 'settings.mailOn' : 'settings.mailOff')],
    [
      t('settings.providers'),
      signIn.providers.length > 0 ? list(signIn.providers.map(({ name }) => name)) : t('settings.providersNone'),
    ],
  ];
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h4" mb="sm">
        {t('settings.gate')}
      </Title>
      <Stack gap="xs">
        {facts.map(([name, value]) => (
          <div key={name}>
            <Text size="sm" c="dimmed">
              {name}
            </Text>
            <Text size="sm">{value}</Text>
          </div>
        ))}
        <Connected />
        <Text size="sm">
          {t('settings.elsewhere')}{' '}
          <Anchor component={Link} href="/help/configuration">
            {t('shell:help')}
          </Anchor>
        </Text>
        <Text size="sm">
          {t('settings.apiText')} <Anchor href="/management/v1/">{t('settings.api')}</Anchor>
        </Text>
      </Stack>
    </Paper>
  );
}
