// Banners with announcements for everyone who is signed in, until they dismiss them.
import { Alert, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct } from '../api.ts';
import type { Session } from '../api-types.ts';
import { IconSpeakerphone } from '../icons.ts';
import { useSession } from '../session.tsx';

export function Announcements(): ReactNode {
  return useSession().session.announcements.map((each) => <One key={each.id} announcement={each} />);
}

function One({ announcement }: { readonly announcement: Session['announcements'][number] }): ReactNode {
  const { t, i18n } = useTranslation('shell');
  const { session, refresh } = useSession();
  const dismiss = useAct(async () => {
    await api.post(`/me/announcements/${announcement.id}/dismiss`);
    await refresh();
  });
  const [first, other] = i18n.language === 'ja' ? (['ja', 'en'] as const) : (['en', 'ja'] as const);
  const language = announcement[first] === null ? other : first;
  return (
    <Alert
      color="blue"
      icon={<IconSpeakerphone size={20} />}
      title={t('announcement.title')}
      mb="md"
      role="status"
      withCloseButton={session.view === null}
      closeButtonLabel={t('announcement.dismiss')}
      onClose={() => dismiss.mutate(undefined)}
    >
      <Text size="sm" lang={language} dir="auto">
        {announcement[language]}
      </Text>
    </Alert>
  );
}
