// The usage of all accounts: sums by day, account, model and key, also as CSV. Single calls are in the request log.
import { Button, Group } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { withQuery } from '../api.ts';
import { IconDownload, IconListSearch } from '../icons.ts';
import { Page } from '../shell/page.tsx';
import { UsageSums, useUsageChoice } from '../shell/usage-sums.tsx';

export default function Usage(): ReactNode {
  const { t } = useTranslation('policy');
  const choice = useUsageChoice();
  return (
    <Page
      title={t('usage.title')}
      lead={t('usage.lead')}
      actions={
        <Group gap="xs">
          <Button
            component={Link}
            href="/operate/requests"
            variant="default"
            leftSection={<IconListSearch size={18} />}
          >
            {t('usage.requests')}
          </Button>
          <Button
            component="a"
            href={`/management/v1${withQuery('/usage/export', choice.query)}`}
            variant="default"
            leftSection={<IconDownload size={18} />}
          >
            {t('usage.csvSums')}
          </Button>
        </Group>
      }
    >
      <UsageSums
        path="/usage/report"
        choice={choice}
        groups={['time', 'account', 'model', 'key']}
        empty={t('usage.empty')}
      />
    </Page>
  );
}
