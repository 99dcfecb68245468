// The remaining steps after setup. Each of the five is marked as done automatically; the list disappears when all are done.
import { Anchor, List, Paper, Text, ThemeIcon, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { useGet } from '../api.ts';
import type { AuditEvent, Key, PageOf, Registration, UsageRow } from '../api-types.ts';
import { IconCheck, IconCircleDashed } from '../icons.ts';
import { useSession } from '../session.tsx';

const everyMs = 5_000;

/** A gateway that only this machine can reach needs no encryption. */
const isOwnMachine = (url: string): boolean => /^https?:\/\/(?:localhost|127\.|\[::1\])/.test(url);

export function Checklist(): ReactNode {
  const { t } = useTranslation('operator');
  const { session, operates } = useSession();
  const { gate } = session;
  const keys = useGet<PageOf<Key>>('/keys', { limit: 1 });
  const calls = useGet<PageOf<UsageRow>>('/usage', { limit: 1 }, everyMs);
  const decided = useGet<PageOf<AuditEvent>>('/audit', { subject: 'registration', limit: 1 });
  const registration = useGet<Registration>('/registration');
  const mode = registration.data?.mode;
  if (!operates || !keys.data || !calls.data || !decided.data || mode === undefined) return null;
  const isEncrypted = gate.url.startsWith('https:');
  const steps = [
    { name: 'server', done: gate.serves === true, href: '/operate/servers' },
    {
      name: isEncrypted || !isOwnMachine(gate.url) ? 'https' : 'ownMachine',
      done: isEncrypted || isOwnMachine(gate.url),
      href: '/help/tls',
    },
    { name: 'registration', done: decided.data.items.length > 0, href: '/operate/settings' },
    { name: 'key', done: keys.data.items.length > 0, href: '/keys' },
    { name: 'call', done: calls.data.items.length > 0, href: '/playground' },
  ] as const;
  if (steps.every(({ done }) => done)) return null;
  return (
    <Paper withBorder p="md" component="section" aria-label={t('checklist.title')}>
      <Title order={2} size="h4" mb="sm">
        {t('checklist.title')}
      </Title>
      <List spacing="xs" center>
        {steps.map(({ name, done, href }) => (
          <List.Item
            key={name}
            icon={
              <ThemeIcon size={22} radius="xl" variant="light" color={done ? 'teal' : 'gray'}>
                {done ? <IconCheck size={14} aria-hidden /> : <IconCircleDashed size={14} aria-hidden />}
              </ThemeIcon>
            }
          >
            <Text size="sm" component="span" {...(done ? { c: 'dimmed' } : {})}>
              {t(`checklist.${name}`, { mode: t(`checklist.modes.${mode}`) })}
              {done ? ` – ${t('checklist.done')}` : ' '}
            </Text>
            {!done && (
              <Anchor component={Link} href={href} size="sm">
                {t(`checklist.go.${name}`)}
              </Anchor>
            )}
          </List.Item>
        ))}
      </List>
    </Paper>
  );
}
