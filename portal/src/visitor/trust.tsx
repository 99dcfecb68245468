// How to trust a gateway with its own certificate authority: the certificate, its fingerprint, and instructions for each system.
import { Button, Code, List, Paper, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { IconDownload } from '../icons.ts';
import { useSession } from '../session.tsx';
import { Page } from '../shell/page.tsx';

const systems = [
  ['Windows', 'windows'],
  ['macOS', 'mac'],
  ['iPhone, iPad', 'ios'],
  ['Android', 'android'],
  ['Linux', 'linux'],
] as const;

export default function Trust(): ReactNode {
  const { t } = useTranslation('visitor');
  const { authority } = useSession().session.gate;
  // Over plain HTTP, a fingerprint could be changed in transit like the rest of the page.
  if (window.location.protocol !== 'https:')
    return (
      <Page title={t('trust.title')}>
        <Text>{t('trust.plain')}</Text>
      </Page>
    );
  if (authority === null)
    return (
      <Page title={t('trust.title')}>
        <Text>{t('trust.none')}</Text>
      </Page>
    );
  return (
    <Page title={t('trust.title')} lead={t('trust.lead')}>
      <Paper withBorder p="lg">
        <Stack>
          <Text>{t('trust.offered')}</Text>
          <div>
            <Text size="sm" fw={600}>
              {t('trust.fingerprint')}
            </Text>
            <Code fz="sm">{authority}</Code>
          </div>
          <Button
            component="a"
            href="/portal/authority.crt"
            download
            leftSection={<IconDownload size={18} />}
            w="fit-content"
          >
            {t('trust.download')}
          </Button>
        </Stack>
      </Paper>
      <List spacing="sm">
        {systems.map(([system, how]) => (
          <List.Item key={how}>
            <b>{system}:</b> {t(`trust.${how}`)}
          </List.Item>
        ))}
      </List>
      <Title order={2} size="h4">
        {t('trust.programs')}
      </Title>
      <Text>{t('trust.programsText')}</Text>
    </Page>
  );
}
