// One event of the audit log: who, what, when, and every value before and after.
import { Anchor, Button, Paper, Skeleton, Stack, Table, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'wouter';
import { useGet } from '../api.ts';
import type { AuditEvent } from '../api-types.ts';
import { IconArrowLeft, IconFileText } from '../icons.ts';
import { CardTable } from '../shell/card-table.tsx';
import { Copy } from '../shell/copy.tsx';
import { Empty } from '../shell/empty.tsx';
import { AccountName, Named } from '../shell/named.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';
import { actorId, differing, subjectName, useValueText } from './changes.tsx';

export default function AuditEventPage(): ReactNode {
  const { t } = useTranslation('lists');
  const { id } = useParams<{ id: string }>();
  const { data, error, isPending, refetch } = useGet<AuditEvent>(`/audit/${encodeURIComponent(id)}`);
  return (
    <Page
      title={t('audit.event')}
      lead={<Copy text={id} label={id} />}
      actions={
        <Button component={Link} href="/operate/audit" variant="default" leftSection={<IconArrowLeft size={18} />}>
          {t('audit.back')}
        </Button>
      }
    >
      {isPending && <Skeleton height={200} />}
      {error &&
        (error.status === 404 ? (
          <Empty icon={<IconFileText size={28} />} text={t('audit.missing')} />
        ) : (
          <Trouble problem={error} retry={() => void refetch()} />
        ))}
      {data && (
        <>
          <Facts event={data} />
          <Values event={data} />
        </>
      )}
    </Page>
  );
}

function Facts({ event }: { readonly event: AuditEvent }): ReactNode {
  const { t } = useTranslation('lists');
  const { exact } = useWriting();
  const { actor, subject, names } = event;
  const by = actorId(actor);
  const facts: readonly (readonly [name: string, value: ReactNode])[] = [
    [t('audit.time'), exact(event.at)],
    [t('audit.action'), <code key="action">{event.action}</code>],
    [t('audit.subject'), <Thing key="subject" id={subject} name={subjectName(event)} />],
    [t('audit.actor'), <Thing key="actor" id={by} name={names[by]} otherwise={actor} />],
  ];
  return (
    <Paper withBorder p="md">
      <Table withRowBorders={false}>
        <Table.Tbody>
          {facts.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th scope="row" w={160} style={{ verticalAlign: 'top' }}>
                {name}
              </Table.Th>
              <Table.Td>{value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Stack gap={4} mt="sm">
        <Anchor component={Link} size="sm" href={`/operate/audit?search=${encodeURIComponent(subject)}`}>
          {t('audit.sameSubject')}
        </Anchor>
        <Anchor
          component={Link}
          size="sm"
          href={`/operate/audit?actor=${encodeURIComponent(names[by] === undefined ? actor : by)}`}
        >
          {t('audit.sameActor')}
        </Anchor>
      </Stack>
    </Paper>
  );
}

interface ThingProps {
  readonly id: string;
  readonly name: string | undefined;
  readonly otherwise?: string;
}

function Thing({ id, name, otherwise = id }: ThingProps): ReactNode {
  if (name === undefined)
    return (
      <Text span inherit style={{ overflowWrap: 'anywhere' }}>
        {otherwise}
      </Text>
    );
  return id.startsWith('acc_') ? <AccountName id={id} name={name} /> : <Named id={id} name={name} />;
}

function Values({ event }: { readonly event: AuditEvent }): ReactNode {
  const { t } = useTranslation('lists');
  const valueText = useValueText();
  const fields = differing(event);
  if (fields.length === 0) return <Text c="dimmed">{t('audit.noValues')}</Text>;
  return (
    <CardTable verticalSpacing="xs">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{t('audit.field')}</Table.Th>
          {event.from !== null && <Table.Th>{t('audit.before')}</Table.Th>}
          {event.to !== null && <Table.Th>{t('audit.after')}</Table.Th>}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {fields.map((name) => (
          <Table.Tr key={name}>
            <Table.Td>
              <code>{name}</code>
            </Table.Td>
            {[event.from, event.to].map(
              (side, at) =>
                side !== null && (
                  // oxlint-disable-next-line react/no-array-index-key -- before, then after
                  <Table.Td key={at}>{valueText(name, side[name], event.names)}</Table.Td>
                ),
            )}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </CardTable>
  );
}
