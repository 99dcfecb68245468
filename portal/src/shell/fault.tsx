// A fault of the page itself must not leave an empty screen.
import { Alert, Button } from '@mantine/core';
import { Component, type ReactNode } from 'react';
import { i18n } from '../words.ts';

export class Fault extends Component<{ readonly children: ReactNode }, { readonly failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <Alert color="red" title={i18n.t('trouble.title')} role="alert">
        <p>{i18n.t('trouble.page')}</p>
        <Button size="compact-sm" variant="light" color="red" onClick={() => window.location.reload()}>
          {i18n.t('trouble.reload')}
        </Button>
      </Alert>
    );
  }
}
