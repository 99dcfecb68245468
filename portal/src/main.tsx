// The entry of the portal: loads styles, words and the session, and shows the page of the address.
import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import {
  Anchor,
  Badge,
  type CSSVariablesResolver,
  createTheme,
  MantineProvider,
  Menu,
  mergeThemeOverrides,
  Notification,
} from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { type ReactNode, StrictMode, useMemo } from 'react';
import { createRoot } from 'react-dom/client';
import { useTranslation } from 'react-i18next';
import { Router } from 'wouter';
import { Problem } from './api.ts';
import { SessionProvider } from './session.tsx';
import { useAccent } from './shell/accent.ts';
import { AgainDialog } from './shell/again-dialog.tsx';
import { AskProvider } from './shell/ask.tsx';
import { Layout } from './shell/layout.tsx';
import { useAskingLocation } from './shell/location.ts';
import './shell/shell.css';
import './words.ts';

const theme = createTheme({
  primaryColor: 'vermilion',
  primaryShade: 7,
  autoContrast: true,
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  fontFamily:
    "system-ui, -apple-system, 'Segoe UI', 'Hiragino Sans', 'Hiragino Kaku Gothic ProN', 'Noto Sans JP', 'Noto Sans CJK JP', Meiryo, sans-serif",
  components: {
    Anchor: Anchor.extend({ defaultProps: { underline: 'always' } }),
    Badge: Badge.extend({ defaultProps: { tt: 'none', fw: 600 } }),
    // An empty element that takes the focus is no item of a menu.
    Menu: Menu.extend({ defaultProps: { withInitialFocusPlaceholder: false } }),
  },
  headings: { fontWeight: '650' },
});

/** White on Mantine's red is too faint as well. */
const red = {
  '--mantine-color-red-filled': 'var(--mantine-color-red-9)',
  '--mantine-color-red-filled-hover': '#b02525',
};

/** Mantine's dimmed text has too little contrast for small text (WCAG 2.2, 1.4.3). */
const quiet: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    ...red,
    '--mantine-color-dimmed': 'var(--mantine-color-gray-7)',
    '--mantine-color-placeholder': 'var(--mantine-color-gray-7)',
    '--mantine-color-error': 'var(--mantine-color-red-9)',
    '--mantine-color-teal-light-color': '#05573f',
    '--mantine-color-yellow-light-color': '#6b4300',
    '--mantine-color-orange-light-color': '#853600',
    '--mantine-color-red-light-color': '#9c1c1c',
    '--mantine-color-blue-light-color': '#0b4a80',
    '--mantine-color-gray-light-color': 'var(--mantine-color-gray-8)',
    '--mantine-color-vermilion-light-color': 'var(--mantine-color-vermilion-9)',
  },
  dark: {
    ...red,
    '--mantine-color-dimmed': 'var(--mantine-color-gray-5)',
    '--mantine-color-placeholder': 'var(--mantine-color-gray-5)',
    '--mantine-color-error': 'var(--mantine-color-red-4)',
  },
});

const client = new QueryClient({
  defaultOptions: {
    // A request is sent even if the browser takes itself to be offline: the gateway may be on this machine, and a change that waited
    // would be made later, when nobody looks.
    mutations: { networkMode: 'always' },
    queries: {
      networkMode: 'always',
      staleTime: 10_000,
      retry: (count, error) => count < 2 && !(error instanceof Problem && error.status >= 400 && error.status < 500),
    },
  },
});
const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? '';
// Libraries that create a <style> element read the nonce from this name.
Object.assign(globalThis, { __webpack_nonce__: nonce });
const root = document.querySelector('#root');
if (!root) throw new Error('the page has no root');

/** The theme, with the words in it in the language of the pages. */
function Styled({ children }: { readonly children: ReactNode }): ReactNode {
  const { t } = useTranslation('shell');
  const close = t('close');
  const accent = useAccent();
  const worded = useMemo(
    () =>
      mergeThemeOverrides(theme, {
        // The red of a gate, or the accent of this one.
        colors: { vermilion: accent },
        components: {
          Notification: Notification.extend({ defaultProps: { closeButtonProps: { 'aria-label': close } } }),
        },
      }),
    [close, accent],
  );
  return (
    <MantineProvider theme={worded} defaultColorScheme="auto" cssVariablesResolver={quiet} getStyleNonce={() => nonce}>
      {children}
    </MantineProvider>
  );
}

createRoot(root).render(
  <StrictMode>
    <Styled>
      <QueryClientProvider client={client}>
        <Notifications position="top-right" />
        <Router base="/portal" hook={useAskingLocation}>
          <SessionProvider>
            <AskProvider>
              <Layout />
              <AgainDialog />
            </AskProvider>
          </SessionProvider>
        </Router>
      </QueryClientProvider>
    </Styled>
  </StrictMode>,
);
