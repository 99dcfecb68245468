// The API reference: every route that the reader may call, with its parameters and formats, to try and to take along.
import { Accordion, Badge, Group, Skeleton, Stack, Text, TextInput, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Problem } from '../api.ts';
import { ChatKey } from '../member/chat.ts';
import { useSession } from '../session.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { japanese } from '../words/routes.ts';
import { type Catalogue, type Entry, readCatalogue } from './catalogue.ts';
import { TryIt } from './try-it.tsx';

const colours: Readonly<Record<string, string>> = {
  GET: 'teal',
  HEAD: 'teal',
  POST: 'blue',
  PATCH: 'orange',
  DELETE: 'red',
};

export default function Reference(): ReactNode {
  const { t, i18n } = useTranslation('reference');
  const { reads, operates } = useSession();
  const asked = useQuery<Catalogue, Problem>({
    queryKey: ['reference', reads, operates],
    queryFn: () => readCatalogue({ reads, operates }),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const [search, setSearch] = useState('');
  const [key] = useState(() => new ChatKey());
  useEffect(() => () => key.forget(), [key]);
  const summaryOf = ({ name, summary, of }: Entry): string =>
    of === 'models' ? '' : i18n.language === 'ja' ? (japanese[name] ?? '') : summary;
  const wanted = search.trim().toLowerCase();
  const found = (asked.data?.entries ?? []).filter((entry) =>
    `${entry.method} ${entry.path} ${summaryOf(entry)}`.toLowerCase().includes(wanted),
  );
  const sections = [
    ['models', found.filter(({ of }) => of === 'models')],
    ['management', found.filter(({ of }) => of === 'management')],
  ] as const;
  return (
    <Page title={t('title')} lead={t('lead')}>
      <TextInput
        type="search"
        label={t('search')}
        value={search}
        onChange={(event) => setSearch(event.currentTarget.value)}
        maw={420}
      />
      {asked.error && <Trouble problem={asked.error} retry={() => void asked.refetch()} />}
      {asked.isPending && <Skeleton height={300} />}
      {asked.data && found.length === 0 && <Text c="dimmed">{t('none')}</Text>}
      {asked.data &&
        sections.map(
          ([of, entries]) =>
            entries.length > 0 && (
              <Stack key={of} gap="xs">
                <Title order={2} size="h4">
                  {t(`of.${of}`)}
                </Title>
                <Text size="sm" c="dimmed">
                  {t(`about.${of}`)}
                </Text>
                <Entries
                  entries={entries}
                  summaryOf={summaryOf}
                  schemas={asked.data.schemas}
                  secret={() => key.secret()}
                />
              </Stack>
            ),
        )}
    </Page>
  );
}

function Entries({
  entries,
  summaryOf,
  schemas,
  secret,
}: Pick<Catalogue, 'entries' | 'schemas'> & {
  readonly summaryOf: (entry: Entry) => string;
  readonly secret: () => Promise<string>;
}): ReactNode {
  const [open, setOpen] = useState<string | null>(null);
  return (
    <Accordion variant="separated" value={open} onChange={setOpen} order={3}>
      {entries.map((entry) => (
        <Accordion.Item key={entry.id} value={entry.id}>
          <Accordion.Control>
            <Group gap="xs" wrap="wrap">
              <Badge variant="light" color={colours[entry.method] ?? 'gray'} radius="sm">
                {entry.method}
              </Badge>
              <Text component="span" size="sm" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
                {entry.path}
              </Text>
            </Group>
            {summaryOf(entry) !== '' && (
              <Text size="sm" c="dimmed" mt={4}>
                {summaryOf(entry)}
              </Text>
            )}
          </Accordion.Control>
          <Accordion.Panel>
            {open === entry.id && <TryIt entry={entry} schemas={schemas} secret={secret} />}
          </Accordion.Panel>
        </Accordion.Item>
      ))}
    </Accordion>
  );
}
