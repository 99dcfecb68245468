// Messages of the operator to everyone: maintenance and announcements.
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Page } from '../shell/page.tsx';
import { Announcements } from './announcements.tsx';
import { Maintenance } from './maintenance.tsx';

export default function Notices(): ReactNode {
  const { t } = useTranslation('notices');
  return (
    <Page title={t('title')} help="portal" lead={t('lead')}>
      <Maintenance />
      <Announcements />
    </Page>
  );
}
