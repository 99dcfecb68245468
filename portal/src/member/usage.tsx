// What a member has used: by day as a picture, by day, model and key as a table, and what is left.
import { Paper, SegmentedControl, Skeleton, Stack, Title } from '@mantine/core';
import { IconChartBar } from '@tabler/icons-react';
import { lazy, type ReactNode, Suspense } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet } from '../api.ts';
import type { Limit, PageOf, UsageSum } from '../api-types.ts';
import { useChosenOf } from '../shell/address.ts';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { Sums } from '../shell/sums.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { Limits } from './limits.tsx';

const Bars = lazy(() => import('../shell/bars.tsx'));
const groups = ['day', 'model', 'key'] as const;

export default function Usage(): ReactNode {
  const { t } = useTranslation('member');
  const [by, setBy] = useChosenOf('by', groups, 'day');
  const days = useGet<PageOf<UsageSum>>('/me/usage', { by: 'day' });
  const sums = useGet<PageOf<UsageSum>>('/me/usage', { by });
  const limits = useGet<PageOf<Limit>>('/me/limits', {}, 10_000);
  const nothing = days.data?.items.length === 0;
  const nameOf = ({ group, name }: UsageSum): string => {
    return group === '' ? t('usage.noModel') : (name ?? group);
  };
  return (
    <Page title={t('usage.title')} lead={t('usage.lead')}>
      <Paper withBorder p="md">
        <Title order={2} size="h4" mb="sm">
          {t('home.limits')}
        </Title>
        {limits.data ? <Limits limits={limits.data.items} /> : <Skeleton height={60} />}
      </Paper>
      {days.error && <Trouble problem={days.error} retry={() => void days.refetch()} />}
      {nothing && <Empty icon={<IconChartBar size={28} />} text={t('usage.empty')} />}
      {days.data && !nothing && (
        <Stack>
          <SegmentedControl
            value={by}
            onChange={(value) => setBy(value)}
            data={groups.map((value) => ({ value, label: t(`usage.by.${value}`) }))}
            w="fit-content"
          />
          <Paper withBorder p="md">
            <Title order={2} size="h4" mb="sm">
              {t('usage.chart')}
            </Title>
            <Suspense fallback={<Skeleton height={220} />}>
              <div aria-hidden="true">
                <Bars
                  rows={sums.data?.items ?? []}
                  prompt={t('usage.prompt')}
                  completion={t('usage.completion')}
                  name={(row) => (by === 'day' ? row.group.slice(5) : nameOf(row))}
                />
              </div>
            </Suspense>
          </Paper>
          {sums.data ? (
            <Sums
              rows={by === 'day' ? sums.data.items.toReversed() : sums.data.items}
              group={t(`usage.group.${by}`)}
              caption={t(`usage.by.${by}`)}
              name={nameOf}
            />
          ) : (
            <Skeleton height={120} />
          )}
        </Stack>
      )}
    </Page>
  );
}
