// The details of one request of any account.
import type { ReactNode } from 'react';
import { RequestPage } from '../log/request-page.tsx';

export default function Request(): ReactNode {
  return <RequestPage own={false} />;
}
