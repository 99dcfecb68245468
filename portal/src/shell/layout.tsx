// The layout of every page: name, navigation by role, language, theme, and the signed-in person.
import {
  Alert,
  Anchor,
  AppShell,
  Burger,
  Center,
  Container,
  Group,
  Indicator,
  Loader,
  NavLink,
  ScrollArea,
  Text,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { type ReactNode, Suspense, useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, Route as Place, Redirect, Switch, useLocation } from 'wouter';
import { IconLockOpen } from '../icons.ts';
import { type Route, routes } from '../routes.tsx';
import { useSession } from '../session.tsx';
import { Announcements } from './announcements.tsx';
import { Choices } from './choices.tsx';
import { Fault } from './fault.tsx';
import { GateDown } from './gate-down.tsx';
import { MaintenanceBanner } from './maintenance-banner.tsx';
import { Missing } from './missing.tsx';
import { doorTo, nextPage } from './next.ts';
import { Palette } from './palette.tsx';
import { ViewingBanner } from './viewing-banner.tsx';
import { useWaiting, WaitingBadge } from './waiting.tsx';

export function Layout(): ReactNode {
  const { t } = useTranslation('shell');
  const { session, reads } = useSession();
  const [open, { toggle, close }] = useDisclosure();
  const [location] = useLocation();
  const signedIn = session.person !== null;
  // Leaving a page closes the menu, and the next page starts at its top.
  useEffect(() => {
    close();
    window.scrollTo(0, 0);
  }, [location, close]);
  return (
    <AppShell
      header={{ height: 56 }}
      {...(signedIn ? { navbar: { width: 232, breakpoint: 'sm', collapsed: { mobile: !open } } } : {})}
      padding={{ base: 'sm', sm: 'lg' }}
    >
      <a className="skip" href="#page">
        {t('skip')}
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap" miw={0}>
            {signedIn && <MenuButton opened={open} toggle={toggle} />}
            <Link href="/" className="mark">
              <img src={session.gate.logo ?? '/portal/sekisho.svg'} width="26" height="26" alt="" />
              <span>
                {session.gate.name} {session.gate.name === 'Sekisho' && <small lang="ja">関所</small>}
              </span>
            </Link>
          </Group>
          <Group gap="xs" wrap="nowrap" style={{ flexShrink: 0 }}>
            {signedIn && <Palette />}
            <Choices />
          </Group>
        </Group>
      </AppShell.Header>
      {signedIn && (
        <AppShell.Navbar p="xs" component="nav" aria-label={t('navigation')}>
          <ScrollArea type="auto" offsetScrollbars="present">
            <Entries of="member" />
            {reads && (
              <Text size="xs" c="dimmed" fw={600} px="sm" pt="md" pb={4}>
                {t('operating')}
              </Text>
            )}
            {reads && <Entries of="operator" />}
          </ScrollArea>
        </AppShell.Navbar>
      )}
      <AppShell.Main id="page" tabIndex={-1}>
        <Container size={signedIn ? 'xl' : 'sm'} px={0}>
          <ViewingBanner />
          <GateDown />
          {reads && session.gate.exposed && (
            <Alert color="red" icon={<IconLockOpen size={20} />} title={t('exposed.title')} mb="md">
              {t('exposed.text')}
            </Alert>
          )}
          {session.gate.maintenance && <MaintenanceBanner maintenance={session.gate.maintenance} />}
          <Announcements />
          <Fault key={location}>
            <Suspense
              fallback={
                <Center mih="40vh">
                  <Loader aria-label={t('loading')} />
                </Center>
              }
            >
              <Switch>
                {routes.map((route) => (
                  <Place key={route.path} path={route.path}>
                    <Entered route={route} />
                  </Place>
                ))}
                <Place>
                  <Missing />
                </Place>
              </Switch>
            </Suspense>
          </Fault>
          <Group component="footer" justify="center" mt="xl">
            {session.gate.statusPage && !session.view && location !== '/status' && (
              <Anchor component={Link} href="/status" size="sm">
                {t('statusPage')}
              </Anchor>
            )}
            <Anchor href="/portal/licenses.txt" target="_blank" size="sm" c="dimmed">
              {t('licenses')}
            </Anchor>
          </Group>
        </Container>
      </AppShell.Main>
    </AppShell>
  );
}

interface MenuButtonProps {
  readonly opened: boolean;
  readonly toggle: () => void;
}

/** Opens the navigation on a phone, and shows that something on it waits. */
function MenuButton({ opened, toggle }: MenuButtonProps): ReactNode {
  const { t } = useTranslation('shell');
  const { all } = useWaiting();
  return (
    <Indicator disabled={all === 0} label={all} size={18} offset={4} color="vermilion" hiddenFrom="sm" zIndex={1}>
      <Burger
        opened={opened}
        onClick={toggle}
        size="sm"
        aria-label={all === 0 ? t('menu') : t('lists:waiting.menu', { count: all })}
      />
    </Indicator>
  );
}

/** A low screen does not show all entries: that of this page is always visible. */
const showHere = (entry: HTMLElement | null): void => entry?.scrollIntoView({ block: 'nearest' });

function Entries({ of }: { readonly of: Route['who'] }): ReactNode {
  const { t } = useTranslation('shell');
  const [location] = useLocation();
  const { account, view } = useSession().session;
  return routes
    .filter((route) => route.who === of && route.name !== undefined && (account !== null || isForPending(route)))
    .filter(({ inView }) => view === null || inView === true)
    .map(({ path, name, icon: Icon }) => {
      const here = location === path || (path !== '/operate' && location.startsWith(`${path}/`));
      return (
        <NavLink
          key={path}
          component={Link}
          href={path}
          active={here}
          aria-current={here ? 'page' : undefined}
          label={t(`nav.${name}`)}
          rightSection={<WaitingBadge path={path} />}
          leftSection={Icon && <Icon size={18} stroke={1.6} />}
          py={{ base: 8, sm: 3 }}
          ref={here ? showHere : undefined}
        />
      );
    });
}

/** People without an account only see the application pages; all others would be empty. */
const isForPending = ({ path }: Route): boolean => path === '/home' || path === '/me';

/** Shows the page to those who may see it; others are redirected to sign in and back. */
function Entered({ route }: { readonly route: Route }): ReactNode {
  const { session, reads } = useSession();
  const [location] = useLocation();
  const signedIn = session.person !== null;
  // After signing in, continue to the requested page.
  if (route.who === 'visitor' && signedIn)
    return <Redirect to={nextPage() ?? (reads ? '/operate' : '/home')} replace />;
  if ((route.who === 'member' || route.who === 'operator') && !signedIn)
    return <Redirect to={doorTo(location, window.location.search.slice(1))} replace />;
  if (route.who === 'member' && session.account === null && !isForPending(route))
    return <Redirect to="/home" replace />;
  if (session.view && route.inView !== true) return <Redirect to="/home" replace />;
  if (route.who === 'operator' && !reads) return <Missing />;
  const { page: Page } = route;
  return <Page />;
}
