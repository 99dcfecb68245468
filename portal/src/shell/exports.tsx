// The buttons that export a list as CSV and JSON Lines: exactly what its filters leave.
import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { withQuery } from '../api.ts';
import { IconDownload } from '../icons.ts';
import type { FilterQuery } from './filters.tsx';

export interface ExportsProps {
  /** Of the list in the management API. */
  readonly path: string;
  readonly query: FilterQuery;
  /** What the buttons do, for people who do not see what they stand beside. */
  readonly csv: string;
  readonly jsonLines: string;
}

export function Exports({ path, query, csv, jsonLines }: ExportsProps): ReactNode {
  const { t } = useTranslation('log');
  return (['csv', 'json'] as const).map((kind) => (
    <Button
      key={kind}
      component="a"
      href={`/management/v1${withQuery(`${path}/export.${kind === 'csv' ? 'csv' : 'jsonl'}`, query)}`}
      variant="default"
      leftSection={<IconDownload size={18} />}
      aria-label={kind === 'csv' ? csv : jsonLines}
    >
      {t(`requests.${kind}`)}
    </Button>
  ));
}
