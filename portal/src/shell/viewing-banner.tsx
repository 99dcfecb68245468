// Says on every page that an operator is looking at the pages of somebody else, until when, and how to leave.
import { Alert, Button, Group, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { endView } from '../api.ts';
import { IconEye } from '../icons.ts';
import { useSession } from '../session.tsx';
import { leaveView, viewHasEnded } from './viewing.ts';
import { useWriting } from './when.ts';

export function ViewingBanner(): ReactNode {
  const { t } = useTranslation('shell');
  const { view } = useSession().session;
  const { moment } = useWriting();
  const [leaving, setLeaving] = useState(false);
  useEffect(() => {
    if (viewHasEnded()) notifications.show({ message: t('viewing.over'), color: 'orange', autoClose: 10_000 });
  }, [t]);
  useEffect(() => {
    if (!view) return undefined;
    const timer = setTimeout(() => leaveView(true), Math.max(0, Date.parse(view.endsAt) - Date.now()));
    return () => clearTimeout(timer);
  }, [view]);
  if (!view) return null;
  const leave = async (): Promise<void> => {
    setLeaving(true);
    // What cannot be ended now ends by itself.
    await endView(view.id).catch(() => undefined);
    leaveView();
  };
  return (
    <Alert
      color="orange"
      icon={<IconEye size={20} />}
      title={t('viewing.title', { name: view.accountName })}
      mb="md"
      className="viewing"
      role="status"
    >
      <Group justify="space-between" gap="xs">
        <Text size="sm">{t('viewing.text', { when: moment(view.endsAt) })}</Text>
        <Button size="xs" variant="default" loading={leaving} onClick={() => void leave()}>
          {t('viewing.leave')}
        </Button>
      </Group>
    </Alert>
  );
}
