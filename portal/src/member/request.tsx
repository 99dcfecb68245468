// What happened to one request of a member's account.
import type { ReactNode } from 'react';
import { RequestPage } from '../log/request-page.tsx';

export default function Request(): ReactNode {
  return <RequestPage own />;
}
