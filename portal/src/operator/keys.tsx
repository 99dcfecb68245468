// The keys of all accounts, with search on the server: create, rotate and revoke.
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { usePages } from '../api.ts';
import type { KeyRow } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { Page } from '../shell/page.tsx';
import { useSearch } from '../shell/search.tsx';
import { KeyRows, NewKeyFor } from './key-rows.tsx';

export default function Keys(): ReactNode {
  const { t } = useTranslation('operator');
  const { operates } = useSession();
  const [field, search] = useSearch(t('keys.search'));
  const pages = usePages<KeyRow>('/keys', { search });
  return (
    <Page title={t('keys.title')} help="keys" lead={t('keys.lead')} actions={operates && <NewKeyFor />}>
      {field}
      <KeyRows pages={pages} owner />
    </Page>
  );
}
