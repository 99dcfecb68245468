// The error boundary, so that an error of a page does not leave an empty screen. A part that could not be loaded is not an
// error, but is loaded when the gateway responds.
import { Alert, Button } from '@mantine/core';
import { Component, type ReactNode } from 'react';
import { i18n } from '../words.ts';
import { isReached, noteUnreachable, onReach, probe } from './reach.ts';

type Failed = 'page' | 'part';

/** The error messages of Chromium, Firefox and Safari. */
const isOfPart = (error: unknown): boolean =>
  /dynamically imported module|importing a module script failed/i.test(error instanceof Error ? error.message : '');

const name = 'sekisho-reloaded';
const onceMs = 60_000;

/** Prevents a page that fails immediately from reloading forever. */
function reloadOnce(): void {
  try {
    if (Date.now() - Number(sessionStorage.getItem(name) ?? 0) < onceMs) return;
    sessionStorage.setItem(name, String(Date.now()));
  } catch {
    return;
  }
  window.location.reload();
}

export class Fault extends Component<{ readonly children: ReactNode }, { readonly failed: Failed | undefined }> {
  override state: { readonly failed: Failed | undefined } = { failed: undefined };
  #leave: (() => void) | undefined;

  static getDerivedStateFromError(error: unknown): { failed: Failed } {
    return { failed: isOfPart(error) ? 'part' : 'page' };
  }

  override componentDidCatch(error: unknown): void {
    if (!isOfPart(error)) return;
    noteUnreachable();
    this.#leave = onReach(() => {
      if (isReached()) reloadOnce();
    });
    void probe();
  }

  override componentWillUnmount(): void {
    this.#leave?.();
  }

  override render(): ReactNode {
    const { failed } = this.state;
    if (failed === undefined) return this.props.children;
    return (
      <Alert
        color={failed === 'part' ? 'orange' : 'red'}
        title={i18n.t(failed === 'part' ? 'trouble.partTitle' : 'trouble.title')}
        role="alert"
      >
        <p>{i18n.t(failed === 'part' ? 'trouble.part' : 'trouble.page')}</p>
        <Button size="compact-sm" variant="default" onClick={() => window.location.reload()}>
          {i18n.t('trouble.reload')}
        </Button>
      </Alert>
    );
  }
}
