// Not written yet.
import type { ReactNode } from 'react';

export default function Placeholder(): ReactNode {
  return null;
}
