// The details of one request: its stages on a timeline, why it was refused, and changes to its body.
import { Anchor, Box, Button, Code, Group, Paper, Skeleton, Stack, Table, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'wouter';
import { detailIn } from '../../../src/domain/refusal-details.ts';
import { useGet } from '../api.ts';
import type { RequestDetail, Told } from '../api-types.ts';
import { IconArrowLeft, IconListSearch } from '../icons.ts';
import { codeIn } from '../refusals.ts';
import { textOf } from '../shell/cause.ts';
import { Copy } from '../shell/copy.tsx';
import { Empty } from '../shell/empty.tsx';
import { AccountName } from '../shell/named.tsx';
import { Page } from '../shell/page.tsx';
import { ServerName } from '../shell/server-name.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';
import type { Language } from '../words.ts';
import { Outcome } from './request-list.tsx';
import { useTimes } from './times.ts';

export function RequestPage({ own }: { readonly own: boolean }): ReactNode {
  const { t } = useTranslation('log');
  const { id } = useParams<{ id: string }>();
  const { data, error, isPending, refetch } = useGet<RequestDetail>(
    `${own ? '/me/requests' : '/requests'}/${encodeURIComponent(id)}`,
  );
  const list = own ? '/requests' : '/operate/requests';
  return (
    <Page
      title={t('request.title')}
      lead={<Copy text={id} label={id} />}
      actions={
        <Button component={Link} href={list} variant="default" leftSection={<IconArrowLeft size={18} />}>
          {t('request.back')}
        </Button>
      }
    >
      {isPending && <Skeleton height={240} />}
      {error &&
        (error.status === 404 ? (
          <Gone id={id} list={list} />
        ) : (
          <Trouble problem={error} retry={() => void refetch()} />
        ))}
      {data && (
        <>
          <Stages request={data} />
          {data.outcome === 'refused' && <Refusal request={data} own={own} />}
          <Paper withBorder p="md">
            <Title order={2} size="h4" mb="xs">
              {t('request.changes')}
            </Title>
            {data.changes.length === 0 ? (
              <Text c="dimmed">{t('request.noChanges')}</Text>
            ) : (
              data.changes.map((change) => (
                <Text key={change} ff="monospace" size="sm" style={{ overflowWrap: 'anywhere' }}>
                  {change}
                </Text>
              ))
            )}
          </Paper>
          <Facts request={data} own={own} />
        </>
      )}
    </Page>
  );
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** An id starts with its time, so requests of the same minute can be found. */
function timeOf(id: string): number | undefined {
  if (!/^req_[0-9A-Za-z]{8}/.test(id)) return undefined;
  let at = 0;
  for (const sign of id.slice(4, 12)) at = at * 62 + alphabet.indexOf(sign);
  return Number.isNaN(new Date(at).getTime()) ? undefined : at;
}

function Gone({ id, list }: { readonly id: string; readonly list: string }): ReactNode {
  const { t } = useTranslation('log');
  const at = timeOf(id);
  const minute = at === undefined ? undefined : Math.floor(at / 60_000) * 60_000;
  return (
    <Empty
      icon={<IconListSearch size={28} />}
      title={t('request.missing')}
      text={t('request.missingText')}
      action={
        minute !== undefined && (
          <Button
            component={Link}
            href={`${list}?range=own&since=${new Date(minute).toISOString()}&until=${new Date(minute + 60_000).toISOString()}`}
            variant="default"
          >
            {t('request.around')}
          </Button>
        )
      }
    />
  );
}

const stageColours = {
  check: 'gray.5',
  queue: 'yellow.6',
  load: 'orange.6',
  server: 'blue.5',
  answer: 'teal.6',
} as const;

function Stages({ request: { stages, durationMs } }: { readonly request: RequestDetail }): ReactNode {
  const { t } = useTranslation('log');
  const { length } = useTimes();
  const whole = Math.max(1, durationMs);
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h4" mb="sm">
        {t('request.stages')}
      </Title>
      {stages.length === 0 && <Text c="dimmed">{t('request.noStages')}</Text>}
      <Stack gap="xs">
        {stages.map(({ stage, fromMs, toMs }) => (
          <Box key={stage}>
            <Group justify="space-between" gap="xs">
              <Text size="sm">{t(`request.stage.${stage}`)}</Text>
              <Text size="sm" fw={600} title={t('request.stageAt', { from: length(fromMs), to: length(toMs) })}>
                {length(toMs - fromMs)}
              </Text>
            </Group>
            <Box h={8} bg="var(--mantine-color-default-border)" style={{ borderRadius: 4 }} aria-hidden="true">
              <Box
                h={8}
                bg={stageColours[stage]}
                ml={`${(fromMs / whole) * 100}%`}
                w={`max(2px, ${((toMs - fromMs) / whole) * 100}%)`}
                maw="100%"
                style={{ borderRadius: 4 }}
              />
            </Box>
          </Box>
        ))}
      </Stack>
    </Paper>
  );
}

function Refusal({ request, own }: { readonly request: RequestDetail; readonly own: boolean }): ReactNode {
  const { t, i18n } = useTranslation('log');
  const { refusedBy, detail, code } = request;
  const said = code === null ? undefined : codeIn(code, i18n.language as Language);
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h4" mb="xs">
        {t('request.refused')}
      </Title>
      {said !== undefined && <Text>{said}</Text>}
      <Text ff="monospace" size="sm">
        {code}
      </Text>
      {refusedBy !== null && <RefusedBy by={refusedBy} own={own} />}
      {detail !== null && <Detail told={detail} />}
    </Paper>
  );
}

/** What the caller was told: in the language of the page, and as it was sent where that is another text. */
function Detail({ told }: { readonly told: Told }): ReactNode {
  const { t, i18n } = useTranslation('log');
  const { exact } = useWriting();
  const sent = textOf(told);
  const said = detailIn(i18n.language as Language, sent, exact);
  return (
    <>
      {said !== undefined && (
        <Text size="sm" mt="xs" style={{ overflowWrap: 'anywhere' }}>
          {said}
        </Text>
      )}
      {said !== sent && (
        <>
          <Text size="sm" c="dimmed" mt="xs">
            {t('request.told')}
          </Text>
          <Code block lang="en" fz="xs" style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
            {sent}
          </Code>
        </>
      )}
    </>
  );
}

function RefusedBy({ by, own }: { readonly by: string; readonly own: boolean }): ReactNode {
  const { t } = useTranslation(['log', 'policy']);
  if (by.startsWith('sus_')) {
    const text = t('log:request.step', { id: by });
    return own ? (
      <Text>{text}</Text>
    ) : (
      <Anchor component={Link} href="/operate/suspensions">
        {text}
      </Anchor>
    );
  }
  const [subject = '', name = ''] = by.split(' ');
  const subjects = { account: t('log:request.subjects.account'), key: t('log:request.subjects.key') };
  return (
    <Text>
      {t('log:request.limit', {
        subject: subjects[subject as 'account'] ?? subject,
        limit: t(`policy:terms.${name as 'tokensPerDay'}`, { defaultValue: name }),
      })}
    </Text>
  );
}

function Facts({ request, own }: { readonly request: RequestDetail; readonly own: boolean }): ReactNode {
  const { t } = useTranslation('log');
  const { exact, figure, bytes, list } = useWriting();
  const { length } = useTimes();
  const rows: readonly (readonly [string, ReactNode])[] = [
    [t('requests.time'), exact(request.at)],
    [t('requests.outcome'), <Outcome key="outcome" row={request} />],
    ...(own
      ? []
      : [
          [
            t('requests.account'),
            <AccountName key="account" id={request.accountId} name={request.accountName} />,
          ] as const,
        ]),
    [t('requests.key'), request.keyName],
    [t('request.operation'), request.operation],
    [t('requests.model'), request.model],
    [t('request.asked'), request.askedModel],
    [t('request.fallback'), request.fallbackFor],
    [t('requests.server'), request.server && <ServerName key="server" address={request.server} />],
    [t('request.streamed'), t(request.streamed ? 'request.yes' : 'request.no')],
    [t('request.prompt'), figure(request.promptTokens)],
    [t('request.completion'), figure(request.completionTokens)],
    [
      t('request.cache'),
      request.cacheReadTokens + request.cacheWriteTokens === 0
        ? null
        : list([figure(request.cacheReadTokens), figure(request.cacheWriteTokens)]),
    ],
    [t('request.reasoning'), request.reasoningTokens === 0 ? null : figure(request.reasoningTokens)],
    [t('request.source'), t(`request.sources.${request.source}`)],
    [t('requests.firstToken'), request.firstTokenMs === null ? null : length(request.firstTokenMs)],
    [t('requests.duration'), length(request.durationMs)],
    [t('requests.speed'), request.tokensPerSecond === null ? null : figure(request.tokensPerSecond)],
    [t('request.cost'), request.unit === null ? null : `${figure(request.units)} ${request.unit}`],
    [t('request.bytes'), list([bytes(request.bytesIn), bytes(request.bytesOut)])],
    [t('request.address'), request.address],
  ];
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h4" mb="xs">
        {t('request.facts')}
      </Title>
      <Table>
        <Table.Tbody>
          {rows
            .filter(([, value]) => value !== null && value !== '')
            .map(([name, value]) => (
              <Table.Tr key={name}>
                <Table.Th scope="row" fw={500} w="40%">
                  {name}
                </Table.Th>
                <Table.Td style={{ overflowWrap: 'anywhere' }}>{value}</Table.Td>
              </Table.Tr>
            ))}
        </Table.Tbody>
      </Table>
    </Paper>
  );
}
