// The link from a page to its document, which ships with the gateway.
import { Anchor } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { IconHelpCircle } from '../icons.ts';

/** The names of files in docs/. */
export type Document = 'keys' | 'ladder' | 'model-names' | 'model-servers' | 'plans' | 'portal' | 'services' | 'tls';

export function Help({ about }: { readonly about: Document }): ReactNode {
  const { t } = useTranslation('shell');
  return (
    <Anchor component={Link} href={`/help/${about}`} size="sm" display="inline-flex" className="no-print">
      <IconHelpCircle size={16} style={{ alignSelf: 'center', marginInlineEnd: 4 }} aria-hidden />
      {t('help')}
    </Anchor>
  );
}
