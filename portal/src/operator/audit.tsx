// The audit log: every change, the newest first.
import { Skeleton, Stack, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { usePages } from '../api.ts';
import type { AuditEvent } from '../api-types.ts';
import { IconFileText } from '../icons.ts';
import { Empty } from '../shell/empty.tsx';
import { More } from '../shell/more.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { Changes } from './changes.tsx';

export default function Audit(): ReactNode {
  const { t } = useTranslation('policy');
  const [text, setText] = useState('');
  const [search] = useDebouncedValue(text.trim(), 300);
  const { rows, query } = usePages<AuditEvent>('/audit', { search });
  return (
    <Page title={t('audit.title')} lead={t('audit.lead')}>
      <TextInput
        label={t('audit.subject')}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        maw={320}
        type="search"
      />
      {query.error && <Trouble problem={query.error} retry={() => void query.refetch()} />}
      {query.isPending && <Skeleton height={160} />}
      {query.data !== undefined && rows.length === 0 && (
        <Empty icon={<IconFileText size={28} />} text={t('audit.empty')} />
      )}
      <Stack gap="sm">
        {rows.map((event) => (
          <Changes key={event.id} event={event} />
        ))}
      </Stack>
      <More query={query} />
    </Page>
  );
}
