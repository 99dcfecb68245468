// What a member has used, over time, by model and by key, and what is left.
import { Paper, Skeleton, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet } from '../api.ts';
import type { Limit, PageOf } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { Page } from '../shell/page.tsx';
import { UsageSums, useUsageChoice } from '../shell/usage-sums.tsx';
import { Limits } from './limits.tsx';

export default function Usage(): ReactNode {
  const { t } = useTranslation('member');
  const choice = useUsageChoice();
  const limits = useGet<PageOf<Limit>>('/me/limits', {}, 10_000);
  const { view } = useSession().session;
  return (
    <Page title={t('usage.title')} {...(view ? {} : { lead: t('usage.lead') })}>
      <Paper withBorder p="md">
        <Title order={2} size="h4" mb="sm">
          {t('home.limits')}
        </Title>
        {limits.data ? <Limits limits={limits.data.items} /> : <Skeleton height={60} />}
      </Paper>
      <UsageSums
        path="/me/usage"
        choice={choice}
        groups={['time', 'model', 'key']}
        empty={t(view ? 'usage.noneSeen' : 'usage.empty')}
      />
    </Page>
  );
}
