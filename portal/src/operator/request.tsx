// What happened to one request of anybody's.
import type { ReactNode } from 'react';
import { RequestPage } from '../log/request-page.tsx';

export default function Request(): ReactNode {
  return <RequestPage own={false} />;
}
