// A banner on the home page and the playground while no model server responds.
import { Alert, Anchor } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { useGet } from '../api.ts';
import type { Session } from '../api-types.ts';
import { IconPlugConnectedX } from '../icons.ts';
import { useSession } from '../session.tsx';

const everyMs = 5_000;

export function ServersDown(): ReactNode {
  const { t } = useTranslation('shell');
  const { gate, view } = useSession().session;
  // The session says it, and is read again while this page is open.
  useGet<Session>('/session', {}, everyMs);
  if (gate.serves !== false) return null;
  return (
    <Alert color="orange" icon={<IconPlugConnectedX size={20} />} title={t('serversDown.title')} role="alert">
      {t('serversDown.text')}
      {gate.statusPage && !view && (
        <>
          {' '}
          <Anchor component={Link} href="/status" size="sm">
            {t('statusPage')}
          </Anchor>
        </>
      )}
    </Alert>
  );
}
