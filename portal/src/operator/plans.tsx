// All plans in short form; creates a plan as a copy of another.
import { Anchor, Button, Group, Paper, SimpleGrid, Skeleton, Stack, Text, TextInput, Title } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useLocation } from 'wouter';
import { api, faultOf, useAct, useGet } from '../api.ts';
import type { PageOf, Plan } from '../api-types.ts';
import { IconPlus } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { FormDialog } from '../shell/form-dialog.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';
import { PlanChoice } from './plan-choice.tsx';
import { isWindowed } from './plan-terms.ts';

type Terms = Readonly<Record<string, unknown>>;

/** The window limits that any plan sets, so that plans can be compared line by line. */
function toldOf(plans: readonly Plan[]): string[] {
  const all = plans as unknown as readonly Terms[];
  const counted = Object.keys(all[0] ?? {}).filter(
    (name) => isWindowed(name) && all.some((terms) => typeof terms[name] === 'number'),
  );
  return [...counted, 'concurrentRequests', 'maxOutputTokens', 'maxKeys'];
}

export default function Plans(): ReactNode {
  const { t } = useTranslation('policy');
  const { operates } = useSession();
  const plans = useGet<PageOf<Plan>>('/plans');
  const told = toldOf(plans.data?.items ?? []);
  return (
    <Page title={t('plans.title')} help="plans" lead={t('plans.lead')} actions={operates && <NewPlan />}>
      {plans.error && <Trouble problem={plans.error} retry={() => void plans.refetch()} />}
      {plans.isPending && <Skeleton height={160} />}
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
        {plans.data?.items.map((plan) => (
          <One key={plan.name} plan={plan} told={told} />
        ))}
      </SimpleGrid>
    </Page>
  );
}

function One({ plan, told }: { readonly plan: Plan; readonly told: readonly string[] }): ReactNode {
  const { t } = useTranslation('policy');
  const { figure } = useWriting();
  const { operates } = useSession();
  const ask = useAsk();
  const remove = useAct(() => api.delete(`/plans/${plan.name}`), { done: t('plans.removed'), refresh: ['/plans'] });
  const terms = plan as unknown as Terms;
  return (
    <Paper withBorder p="md">
      <Group justify="space-between" mb="xs">
        <Title order={2} size="h4">
          <Anchor component={Link} href={`/operate/plans/${plan.name}`} inherit>
            {plan.name}
          </Anchor>
        </Title>
        <Text size="sm" c="dimmed">
          {t('plans.version', { version: plan.version })}
        </Text>
      </Group>
      <Stack gap={2}>
        {told.map((name) => (
          <Group key={name} justify="space-between" gap="xs">
            <Text size="sm">{t(`terms.${name}`)}</Text>
            <Text size="sm">{typeof terms[name] === 'number' ? figure(terms[name]) : t('plans.none')}</Text>
          </Group>
        ))}
      </Stack>
      {operates && (
        <Button
          mt="sm"
          size="compact-sm"
          variant="light"
          color="red"
          loading={remove.isPending}
          onClick={() =>
            void ask({
              title: t('plans.removeTitle', { name: plan.name }),
              text: t('plans.removeText'),
              act: t('plans.remove'),
            }).then((yes) => {
              if (yes) remove.mutate(undefined);
            })
          }
        >
          {t('plans.remove')}
        </Button>
      )}
    </Paper>
  );
}

function NewPlan(): ReactNode {
  const { t } = useTranslation('policy');
  const [open, { open: show, close }] = useDisclosure();
  const [, go] = useLocation();
  const [name, setName] = useState('');
  const [like, setLike] = useState<string | null>('default');
  const create = useAct(() => api.post<Plan>('/plans', { name, ...(like === null ? {} : { like }) }, { once: true }), {
    refresh: ['/plans'],
    shows: (field) => field === 'name',
  });
  return (
    <>
      <Button leftSection={<IconPlus size={18} />} onClick={show}>
        {t('plans.create')}
      </Button>
      <FormDialog
        opened={open}
        onClose={close}
        title={t('plans.create')}
        act={t('plans.create')}
        busy={create.isPending}
        send={() => {
          create.mutate(undefined, { onSuccess: (plan) => go(`/operate/plans/${plan.name}`) });
        }}
      >
        <TextInput
          label={t('plans.name')}
          description={t('plans.nameHint')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={faultOf(create.error, 'name')}
          pattern="[a-z0-9][a-z0-9\-]{0,39}"
          required
          data-autofocus
        />
        <PlanChoice label={t('plans.like')} value={like} onChange={setLike} />
      </FormDialog>
    </>
  );
}
