// The start page: what the gateway offers, and how to get access.
import { Alert, Anchor, Button, Group, Paper, SimpleGrid, Stack, Text, ThemeIcon, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { IconDoorEnter, IconKey, IconMessageChatbot, IconPencil, IconTerminal2 } from '../icons.ts';
import { useSession } from '../session.tsx';
import { Page } from '../shell/page.tsx';
import { useWriting } from '../shell/when.ts';

const steps = [
  { name: 'apply', Icon: IconPencil },
  { name: 'key', Icon: IconKey },
  { name: 'use', Icon: IconMessageChatbot },
] as const;

export default function Welcome(): ReactNode {
  const { t } = useTranslation('visitor');
  const { session } = useSession();
  const { mode, domains } = session.registration;
  const { list } = useWriting();
  return (
    <Page title={t('welcome.title')} lead={t('welcome.lead', { gate: session.gate.name })}>
      {!session.gate.isOperated && (
        <Alert icon={<IconTerminal2 size={20} />} title={t('welcome.unopened.title')}>
          <Text size="sm">{t('welcome.unopened.text')}</Text>
          <Text size="sm" mt={4}>
            {t('welcome.unopened.again')}
          </Text>
        </Alert>
      )}
      <Paper withBorder p="lg">
        <Stack gap="md">
          <Text>{mode === 'closed' ? t('welcome.closed') : t(`welcome.mode.${mode}`, { domains: list(domains) })}</Text>
          <Group>
            {mode !== 'closed' && (
              <Button component={Link} href="/apply" size="md" leftSection={<IconPencil size={18} />}>
                {t('welcome.apply')}
              </Button>
            )}
            <Button
              component={Link}
              href="/sign-in"
              size="md"
              variant="default"
              leftSection={<IconDoorEnter size={18} />}
            >
              {t('welcome.signIn')}
            </Button>
          </Group>
        </Stack>
      </Paper>
      {session.gate.authority !== null && (
        <Anchor component={Link} href="/trust">
          {t('trust.link')}
        </Anchor>
      )}
      {mode !== 'closed' && (
        <Stack gap="sm">
          <Title order={2} size="h4">
            {t('welcome.steps.title')}
          </Title>
          <SimpleGrid cols={{ base: 1, xs: 3 }}>
            {steps.map(({ name, Icon }) => (
              <Paper key={name} withBorder p="md">
                <ThemeIcon variant="light" size="lg" mb="xs">
                  <Icon size={20} />
                </ThemeIcon>
                <Text fw={600}>{t(`welcome.steps.${name}`)}</Text>
                <Text size="sm" c="dimmed">
                  {t(`welcome.steps.${name}Text`)}
                </Text>
              </Paper>
            ))}
          </SimpleGrid>
        </Stack>
      )}
    </Page>
  );
}
