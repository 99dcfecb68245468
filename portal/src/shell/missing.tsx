// The page does not exist, or the person may not see it.
import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { IconMapPinQuestion } from '../icons.ts';
import { Empty } from './empty.tsx';
import { Page } from './page.tsx';

export function Missing(): ReactNode {
  const { t } = useTranslation('shell');
  return (
    <Page title={t('missing.title')}>
      <Empty
        icon={<IconMapPinQuestion size={28} />}
        text={t('missing.text')}
        action={
          <Button component={Link} href="/">
            {t('start')}
          </Button>
        }
      />
    </Page>
  );
}
