// The requests of all accounts.
import type { ReactNode } from 'react';
import { RequestList } from '../log/request-list.tsx';

export default function Requests(): ReactNode {
  return <RequestList own={false} />;
}
