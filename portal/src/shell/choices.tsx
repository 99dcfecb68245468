// The menu with language, theme, and sign-out.
import { ActionIcon, Button, Group, Menu, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useLocation } from 'wouter';
import { api } from '../api.ts';
import {
  IconCheck,
  IconClock,
  IconLanguage,
  IconLogout,
  IconMoon,
  IconSun,
  IconUser,
  IconUserCircle,
} from '../icons.ts';
import { useSession } from '../session.tsx';
import { chooseLanguage, type Language, languages } from '../words.ts';
import { chooseZone, useZone, zones } from './zone.ts';

export function Choices(): ReactNode {
  const { t, i18n } = useTranslation('shell');
  const { session, refresh } = useSession();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const [, go] = useLocation();
  const { person, view } = session;
  const zone = useZone();
  const { viewer, gate } = zones();
  const choose = async (language: Language): Promise<void> => {
    chooseLanguage(language);
    if (person && !view) await api.patch('/me', { language });
  };
  return (
    <Group gap={4} wrap="nowrap" style={{ flexShrink: 0 }}>
      <Menu>
        <Menu.Target>
          <Button
            variant="subtle"
            color="gray"
            size="compact-sm"
            px={6}
            aria-label={languages[i18n.language as Language]}
          >
            <IconLanguage size={18} />
            <span className="language-name">&nbsp;{languages[i18n.language as Language]}</span>
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {(Object.keys(languages) as Language[]).map((language) => (
            <Menu.Item key={language} lang={language} onClick={() => void choose(language).catch(() => undefined)}>
              {languages[language]}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        aria-label={t(scheme === 'dark' ? 'light' : 'dark')}
        onClick={() => setColorScheme(scheme === 'dark' ? 'light' : 'dark')}
      >
        {scheme === 'dark' ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
      {person ? (
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon
              variant="subtle"
              color="gray"
              size="lg"
              aria-label={t(view ? 'viewing.whom' : 'you', { name: person.name })}
            >
              <IconUserCircle size={22} stroke={1.6} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown maw="calc(100vw - 1rem)">
            <Menu.Label style={{ overflowWrap: 'anywhere' }}>{person.email}</Menu.Label>
            {!view && (
              <Menu.Item leftSection={<IconUser size={16} />} component={Link} href="/me">
                {t('nav.me')}
              </Menu.Item>
            )}
            {viewer !== gate && (
              <>
                <Menu.Label>{t('zones')}</Menu.Label>
                {(['viewer', 'gate'] as const).map((each) => (
                  <Menu.Item
                    key={each}
                    leftSection={zones()[each] === zone ? <IconCheck size={16} /> : <IconClock size={16} />}
                    onClick={() => chooseZone(each)}
                  >
                    {t(each === 'viewer' ? 'zoneViewer' : 'zoneGate', { zone: zones()[each] })}
                  </Menu.Item>
                ))}
                <Menu.Divider />
              </>
            )}
            <Menu.Item
              leftSection={<IconLogout size={16} />}
              onClick={() =>
                void import('../auth.ts')
                  .then(({ signOut }) => signOut())
                  .then(async (leaves) => {
                    if (leaves) return;
                    await refresh();
                    go('/');
                  })
              }
            >
              {t('signOut')}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      ) : (
        <Button component={Link} href="/sign-in" variant="subtle" color="gray" size="compact-sm">
          {t('signIn')}
        </Button>
      )}
    </Group>
  );
}
