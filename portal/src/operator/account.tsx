// One account: plan and role, one-time links, keys, usage, suspensions and changes, and closing it.
import { Button, Group, Paper, Select, Skeleton, Stack, Text, Title } from '@mantine/core';
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation, useParams } from 'wouter';
import { api, useAct, useGet, usePages } from '../api.ts';
import type { Account, AuditEvent, KeyRow, OneTimeLink, PageOf, SuspensionRow, UsageSum, View } from '../api-types.ts';
import { IconEye } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { CopyId } from '../shell/named.tsx';
import { Page } from '../shell/page.tsx';
import { Sums } from '../shell/sums.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { enterView } from '../shell/viewing.ts';
import { useWriting } from '../shell/when.ts';
import { roles, State } from './accounts.tsx';
import { Changes } from './changes.tsx';
import { KeyRows, NewKeyFor } from './key-rows.tsx';
import { LinkShown } from './link-shown.tsx';
import { PlanChoice } from './plan-choice.tsx';
import { Steps } from './steps.tsx';

export default function OneAccount(): ReactNode {
  const { id = '' } = useParams();
  const { t } = useTranslation('operator');
  const { moment } = useWriting();
  const { operates } = useSession();
  const found = useGet<Account>(`/accounts/${id}`);
  const account = found.data;
  if (!account)
    return (
      <Page title={t('accounts.title')}>
        {found.error ? <Trouble problem={found.error} retry={() => void found.refetch()} /> : <Skeleton height={200} />}
      </Page>
    );
  const open = account.closedAt === null;
  return (
    <Page
      title={account.name}
      lead={
        <>
          {t('account.created', { when: moment(account.createdAt) })} <CopyId id={account.id} name={account.name} />
        </>
      }
      actions={<State account={account} />}
    >
      <Paper withBorder p="md">
        <Text mb="sm">
          {account.person
            ? t('account.person', { name: account.person.name, email: account.person.email })
            : t('account.noPerson')}
        </Text>
        {operates && open && <Settings account={account} />}
        {operates && open && account.role === 'member' && account.person && <ViewAs account={account} />}
      </Paper>
      <Used id={account.id} />
      <Keys account={account} />
      <Taken id={account.id} />
      <Changed id={account.id} />
      {operates && open && account.name !== 'operator' && <End account={account} />}
    </Page>
  );
}

function Settings({ account }: { readonly account: Account }): ReactNode {
  const { t } = useTranslation('operator');
  const [plan, setPlan] = useState(account.plan);
  const [role, setRole] = useState<string>(account.role);
  const [link, setLink] = useState<string>();
  useEffect(() => {
    setPlan(account.plan);
    setRole(account.role);
  }, [account.plan, account.role]);
  const refresh = ['/accounts', '/audit'];
  const change = {
    ...(plan !== account.plan && plan !== null ? { plan } : {}),
    ...(role === account.role ? {} : { role }),
  };
  const save = useAct(() => api.patch(`/accounts/${account.id}`, change), { done: t('account.saved'), refresh });
  const purpose = account.person ? 'password' : 'setup';
  const makeLink = useAct(() => api.post<OneTimeLink>(`/accounts/${account.id}/links`, { purpose }), { refresh });
  const own = account.name === 'operator';
  return (
    <Stack>
      {!own && (
        <Group align="flex-end" grow preventGrowOverflow={false}>
          <PlanChoice label={t('accounts.plan')} value={plan} onChange={setPlan} placeholder={t('accounts.noPlan')} />
          <Select
            label={t('accounts.role')}
            data={roles.map((value) => ({ value, label: t(`accounts.roles.${value}`) }))}
            value={role}
            onChange={(value) => setRole(value ?? 'member')}
            allowDeselect={false}
          />
          <Button
            disabled={Object.keys(change).length === 0}
            loading={save.isPending}
            onClick={() => save.mutate(undefined)}
          >
            {t('account.save')}
          </Button>
        </Group>
      )}
      <Group>
        <Button
          variant="default"
          loading={makeLink.isPending}
          onClick={() => makeLink.mutate(undefined, { onSuccess: ({ url }) => setLink(url) })}
        >
          {t('account.makeLink')}
        </Button>
        <Text size="sm" c="dimmed">
          {t(purpose === 'setup' ? 'account.linkSetup' : 'account.linkPassword')}
        </Text>
      </Group>
      <LinkShown
        title={t('account.link')}
        text={t(purpose === 'setup' ? 'account.linkSetup' : 'account.linkPassword')}
        url={link}
        close={() => setLink(undefined)}
      />
    </Stack>
  );
}

/** What somebody sees, to help them; the gate lets nothing be changed by it, and writes it down. */
function ViewAs({ account: { id } }: { readonly account: Account }): ReactNode {
  const { t } = useTranslation('operator');
  const begin = useAct(() => api.post<View>(`/accounts/${id}/views`, {}, { once: true }));
  return (
    <Group mt="md">
      <Button
        variant="default"
        leftSection={<IconEye size={18} />}
        loading={begin.isPending}
        onClick={() => begin.mutate(undefined, { onSuccess: (view) => enterView({ id: view.id, account: id }) })}
      >
        {t('account.viewAs')}
      </Button>
      <Text size="sm" c="dimmed" style={{ flex: '1 1 16rem' }}>
        {t('account.viewAsText')}
      </Text>
    </Group>
  );
}

function Part({
  title,
  action,
  children,
}: {
  readonly title: string;
  readonly action?: ReactNode;
  readonly children: ReactNode;
}): ReactNode {
  return (
    <Stack gap="xs">
      <Group justify="space-between">
        <Title order={2} size="h4">
          {title}
        </Title>
        {action}
      </Group>
      {children}
    </Stack>
  );
}

function Used({ id }: { readonly id: string }): ReactNode {
  const { t } = useTranslation('operator');
  const sums = useGet<PageOf<UsageSum>>('/usage/report', { by: 'model', account: id });
  if (!sums.data) return <Skeleton height={80} />;
  return (
    <Part title={t('account.usage')}>
      {sums.data.items.length === 0 ? (
        <Text c="dimmed">{t('account.usageNone')}</Text>
      ) : (
        <Sums
          rows={sums.data.items}
          group={t('member:usage.group.model')}
          caption={t('account.usage')}
          name={({ group }) => (group === '' ? t('member:usage.noModel') : group)}
        />
      )}
    </Part>
  );
}

function Keys({ account }: { readonly account: Account }): ReactNode {
  const { t } = useTranslation('operator');
  const { operates } = useSession();
  const pages = usePages<KeyRow>('/keys', { account: account.id });
  return (
    <Part
      title={t('account.keys')}
      action={operates && account.closedAt === null && <NewKeyFor account={account.name} />}
    >
      <KeyRows pages={pages} />
    </Part>
  );
}

function Taken({ id }: { readonly id: string }): ReactNode {
  const { t } = useTranslation('operator');
  const { rows, query } = usePages<SuspensionRow>('/suspensions', { account: id });
  return (
    <Part title={t('account.steps')}>
      {query.data !== undefined && rows.length === 0 ? (
        <Text c="dimmed">{t('account.stepsNone')}</Text>
      ) : (
        <Steps steps={rows} />
      )}
    </Part>
  );
}

function Changed({ id }: { readonly id: string }): ReactNode {
  const { t } = useTranslation('operator');
  const { rows } = usePages<AuditEvent>('/audit', { subject: id });
  return (
    <Part title={t('account.audit')}>
      <Stack gap={4} role="list">
        {rows.map((event) => (
          <Changes key={event.id} event={event} />
        ))}
      </Stack>
    </Part>
  );
}

function End({ account }: { readonly account: Account }): ReactNode {
  const { t } = useTranslation('operator');
  const ask = useAsk();
  const [, go] = useLocation();
  const close = useAct(() => api.delete(`/accounts/${account.id}`), {
    done: t('account.closedNow'),
    refresh: ['/accounts', '/keys'],
  });
  const question = {
    title: t('account.close'),
    text: t('account.closeText'),
    act: t('account.close'),
    type: account.name,
  };
  return (
    <Button
      variant="light"
      color="red"
      w="fit-content"
      loading={close.isPending}
      onClick={() =>
        void ask(question).then((yes) => {
          if (yes) close.mutate(undefined, { onSuccess: () => go('/operate/accounts') });
        })
      }
    >
      {t('account.close')}
    </Button>
  );
}
