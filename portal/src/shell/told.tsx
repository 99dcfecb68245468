// Shows what the gateway, or another system, has said about a state: in the language of the page if the gateway wrote it, and as the
// quotation that it is if somebody else did.
import { Code } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Told } from '../api-types.ts';
import { textOf, useCause } from './cause.ts';

export function Quoted({ told, block = false }: { readonly told: Told; readonly block?: boolean }): ReactNode {
  const text = useCause()(told);
  const isUnknown = text === textOf(told);
  return (
    <Code
      block={block}
      fz="xs"
      style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}
      {...(isUnknown ? { lang: 'en' } : {})}
    >
      {text}
    </Code>
  );
}
