// A banner while the gateway is unreachable. The page stays unchanged, and is refetched when the gateway is back.
import { Alert } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { IconPlugConnectedX } from '../icons.ts';
import { useReached } from './reach.ts';

export function GateDown(): ReactNode {
  const { t } = useTranslation('shell');
  const reached = useReached();
  const client = useQueryClient();
  const wasDown = useRef(false);
  useEffect(() => {
    if (reached && wasDown.current) void client.invalidateQueries();
    wasDown.current = !reached;
  }, [reached, client]);
  if (reached) return null;
  return (
    <Alert color="orange" icon={<IconPlugConnectedX size={20} />} title={t('gateDown.title')} role="alert" mb="md">
      {t('gateDown.text')}
    </Alert>
  );
}
