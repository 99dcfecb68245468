// A banner on every page while the gateway refuses new calls for maintenance.
import { Alert, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet } from '../api.ts';
import type { Session } from '../api-types.ts';
import { IconTool } from '../icons.ts';
import { useWriting } from './when.ts';

export function MaintenanceBanner({
  maintenance,
}: {
  readonly maintenance: NonNullable<Session['gate']['maintenance']>;
}): ReactNode {
  const { t } = useTranslation('shell');
  const { moment } = useWriting();
  // The session says it, and is read again while this is here.
  useGet<Session>('/session', {}, 10_000);
  return (
    <Alert color="orange" icon={<IconTool size={20} />} title={t('maintenance.title')} mb="md" role="status">
      {maintenance.message !== null && <Text size="sm">{maintenance.message}</Text>}
      <Text size="sm">
        {maintenance.until === null
          ? t('maintenance.text')
          : t('maintenance.until', { until: moment(maintenance.until) })}
      </Text>
    </Alert>
  );
}
