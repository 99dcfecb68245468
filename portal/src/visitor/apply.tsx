// Applying for access, with three outcomes: immediate access, confirmation of the address, or waiting for an operator.
import { Alert, Anchor, Button, Paper, Select, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, Redirect, useLocation } from 'wouter';
import { api, Problem } from '../api.ts';
import type { Applied, Claimed } from '../api-types.ts';
import { IconClock, IconLinkOff, IconMail } from '../icons.ts';
import { ShownOnce } from '../member/new-key.tsx';
import { useSession } from '../session.tsx';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { Against, linkCode, NewPassword, sending } from './form.tsx';

export default function Apply(): ReactNode {
  const { t, i18n } = useTranslation('visitor');
  const { session, refresh } = useSession();
  const [, go] = useLocation();
  const { person } = session;
  const { mode } = session.registration;
  const [linked] = useState(linkCode);
  const [fields, setFields] = useState({
    name: person?.name ?? '',
    email: person?.email ?? '',
    purpose: '',
    models: '',
    plan: '',
    invite: linked,
    password: '',
  });
  const set = (name: keyof typeof fields) => (value: string) => setFields((before) => ({ ...before, [name]: value }));
  // An invitation that opens nothing is reported before anything is typed.
  const dead = useQuery({
    queryKey: ['link', 'invite', linked],
    queryFn: () =>
      api.post('/links/look', { code: linked, purpose: 'invite' }).then(
        () => false,
        (error: unknown) => error instanceof Problem && error.status === 403,
      ),
    enabled: linked !== '',
    // Sending the form uses the invitation up.
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  const isDead = dead.data === true && fields.invite === linked;
  const [secret, setSecret] = useState<string>();
  const send = useMutation<Applied>({
    mutationFn: () => {
      const { models, invite, password, plan, ...rest } = fields;
      const wanted = models.split(/[,、\n]/).map((model) => model.trim());
      return api.post<Applied>('/applications', {
        ...rest,
        models: wanted.filter((model) => model !== ''),
        language: i18n.language,
        ...(plan === '' ? {} : { plan }),
        ...(invite === '' ? {} : { invite }),
        ...(person ? {} : { password }),
      });
    },
    onSuccess: async ({ id, status, claim, confirm }) => {
      if (confirm && status !== 'approved') return;
      // After immediate access, the key is shown here. If that fails, the home page offers to create one.
      const claimed =
        status === 'approved'
          ? await api.post<Claimed>(`/applications/${id}/claim`, { claim }).catch(() => undefined)
          : undefined;
      setSecret(claimed?.key?.secret);
      await refresh();
      if (claimed?.key?.secret === undefined) go('/home');
    },
  });
  if (secret !== undefined)
    return (
      <Page title={t('apply.key.title')} lead={t('apply.key.lead')}>
        <Paper withBorder p="lg">
          {send.data?.confirm === true && (
            <Alert icon={<IconMail size={18} />} mb="md">
              {t('apply.key.confirm', { email: fields.email })}
            </Alert>
          )}
          <ShownOnce secret={secret} done={() => go('/home')} />
        </Paper>
      </Page>
    );
  if (session.account) return <Redirect to="/home" replace />;
  if (mode === 'closed') return <Redirect to="/" replace />;
  if (send.data?.confirm)
    return (
      <Page title={t('apply.title')}>
        <Empty
          icon={<IconMail size={28} />}
          title={t('apply.mail.title')}
          text={`${t('apply.mail.text', { email: fields.email })} ${t('apply.mail.reference', { reference: send.data.id.slice(-6) })}`}
        />
      </Page>
    );
  if (session.application?.status === 'pending')
    return (
      <Page title={t('apply.title')}>
        <Empty icon={<IconClock size={28} />} title={t('apply.waits.title')} text={t('apply.waits.text')} />
      </Page>
    );
  return (
    <Page title={t('apply.title')} lead={t('apply.lead')}>
      {isDead && (
        <Alert color="orange" icon={<IconLinkOff size={20} />} title={t('apply.deadInvite')}>
          {t(mode === 'invite' ? 'apply.deadInviteOnly' : 'apply.deadInviteText')}
          {mode !== 'invite' && (
            <Button variant="default" size="xs" mt="xs" display="block" onClick={() => set('invite')('')}>
              {t('apply.withoutInvite')}
            </Button>
          )}
        </Alert>
      )}
      <Paper withBorder p="lg" component="form" onSubmit={sending(() => send.mutate())}>
        <Stack>
          <TextInput
            label={t('apply.name')}
            value={fields.name}
            onChange={(event) => set('name')(event.currentTarget.value)}
            autoComplete="name"
            maxLength={200}
            required
          />
          <TextInput
            label={t('apply.email')}
            type="email"
            value={fields.email}
            onChange={(event) => set('email')(event.currentTarget.value)}
            autoComplete="username"
            maxLength={254}
            required
            readOnly={person !== null && person.email !== ''}
            {...(person?.emailVerified === true ? { description: t('apply.emailGiven') } : {})}
          />
          <Textarea
            label={t('apply.purpose')}
            description={t('apply.purposeHint')}
            value={fields.purpose}
            onChange={(event) => set('purpose')(event.currentTarget.value)}
            autosize
            minRows={2}
            maxLength={2000}
            required
          />
          <TextInput
            label={t('apply.models')}
            description={t('apply.modelsHint')}
            placeholder="gemma3:4b"
            value={fields.models}
            onChange={(event) => set('models')(event.currentTarget.value)}
          />
          {session.registration.plans.length > 0 && (
            <Select
              label={t('apply.plan')}
              description={t('apply.planHint')}
              data={[...session.registration.plans]}
              value={fields.plan === '' ? null : fields.plan}
              onChange={(value) => set('plan')(value ?? '')}
              clearable
            />
          )}
          {(mode === 'invite' || fields.invite !== '') && (
            <TextInput
              label={t('apply.invite')}
              value={fields.invite}
              onChange={(event) => set('invite')(event.currentTarget.value)}
              required={mode === 'invite'}
              autoComplete="off"
            />
          )}
          {!person && (
            <NewPassword
              label={t('apply.password')}
              hint={t('apply.passwordHint')}
              value={fields.password}
              onChange={set('password')}
            />
          )}
          <Against error={send.error} />
          <Button type="submit" size="md" loading={send.isPending}>
            {t('apply.send')}
          </Button>
        </Stack>
      </Paper>
      {!person && (
        <Text size="sm">
          {t('apply.have')}{' '}
          <Anchor component={Link} href="/sign-in">
            {t('welcome.signIn')}
          </Anchor>
        </Text>
      )}
    </Page>
  );
}
