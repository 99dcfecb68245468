// Invitations: codes with which one person gets access immediately.
import { Badge, Button, Group, Paper, Stack, Text, TextInput, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct, useGet } from '../api.ts';
import type { Invite, InviteWithCode, PageOf } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { useWriting } from '../shell/when.ts';
import { LinkShown } from './link-shown.tsx';
import { PlanChoice } from './plan-choice.tsx';

export function Invites(): ReactNode {
  const { t } = useTranslation('operator');
  const { operates, session } = useSession();
  const { moment } = useWriting();
  const invites = useGet<PageOf<Invite>>('/invites');
  const [email, setEmail] = useState('');
  const [plan, setPlan] = useState<string | null>(null);
  const [link, setLink] = useState<string>();
  const create = useAct(
    () =>
      api.post<InviteWithCode>('/invites', { email: email.trim() === '' ? null : email.trim(), plan }, { once: true }),
    { refresh: ['/invites'] },
  );
  const stateOf = ({ usedAt, expiresAt }: Invite): 'used' | 'over' | 'open' =>
    usedAt !== null ? 'used' : new Date(expiresAt) < new Date() ? 'over' : 'open';
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h4" mb="sm">
        {t('applications.invites')}
      </Title>
      <Stack>
        {operates && (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              create.mutate(undefined, {
                onSuccess: ({ code }) => {
                  setEmail('');
                  setLink(`${session.gate.url}/portal/apply#${code ?? ''}`);
                },
              });
            }}
          >
            <Group align="flex-end" grow preventGrowOverflow={false}>
              <TextInput
                label={t('applications.inviteEmail')}
                placeholder={t('applications.optional')}
                type="email"
                value={email}
                onChange={(event) => setEmail(event.currentTarget.value)}
              />
              <PlanChoice
                label={t('applications.plan')}
                value={plan}
                onChange={setPlan}
                clearable
                placeholder={t('applications.optional')}
              />
              <Button type="submit" variant="default" loading={create.isPending}>
                {t('applications.inviteMake')}
              </Button>
            </Group>
          </form>
        )}
        {invites.data?.items.length === 0 && (
          <Text size="sm" c="dimmed">
            {t('applications.inviteNone')}
          </Text>
        )}
        {invites.data?.items.map((invite) => (
          <Group key={invite.id} justify="space-between">
            <Text size="sm">
              {invite.email ?? t('applications.anybody')} {invite.plan !== null && `· ${invite.plan}`} ·{' '}
              {moment(invite.expiresAt)}
            </Text>
            <Badge variant="light" color={stateOf(invite) === 'open' ? 'teal' : 'gray'}>
              {t(`applications.${stateOf(invite)}`)}
            </Badge>
          </Group>
        ))}
      </Stack>
      <LinkShown
        title={t('applications.invite')}
        text={t('applications.inviteText')}
        url={link}
        close={() => setLink(undefined)}
      />
    </Paper>
  );
}
