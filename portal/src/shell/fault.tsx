// A fault of the page itself must not leave an empty screen; and a part that could not be fetched is none, but waits for the gate.
import { Alert, Button } from '@mantine/core';
import { Component, type ReactNode } from 'react';
import { i18n } from '../words.ts';
import { isReached, noteUnreachable, onReach, probe } from './reach.ts';

type Failed = 'page' | 'part';

/** As Chromium, Firefox and Safari say it. */
const isOfPart = (error: unknown): boolean =>
  /dynamically imported module|importing a module script failed/i.test(error instanceof Error ? error.message : '');

const name = 'sekisho-reloaded';
const onceMs = 60_000;

/** A page that fails again at once would load itself for ever. */
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
      <Alert color={failed === 'part' ? 'orange' : 'red'} title={i18n.t('trouble.title')} role="alert">
        <p>{i18n.t(failed === 'part' ? 'trouble.part' : 'trouble.page')}</p>
        <Button size="compact-sm" variant="light" color="red" onClick={() => window.location.reload()}>
          {i18n.t('trouble.reload')}
        </Button>
      </Alert>
    );
  }
}
