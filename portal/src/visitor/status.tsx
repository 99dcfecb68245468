// The public status page: each model now, and how its calls ended over the last thirty days.
import { Badge, Group, Paper, Skeleton, Stack, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet } from '../api.ts';
import type { StatusPage } from '../api-types.ts';
import { IconActivity } from '../icons.ts';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';

const colors = { up: 'teal', partial: 'yellow', down: 'red', none: 'gray' } as const;

export default function Status(): ReactNode {
  const { t } = useTranslation('visitor');
  const status = useGet<StatusPage>('/status-page', {}, 30_000);
  return (
    <Page title={t('status.title')} lead={t('status.lead')}>
      {status.error &&
        (status.error.status === 404 ? (
          <Empty icon={<IconActivity size={28} />} text={t('status.off')} />
        ) : (
          <Trouble problem={status.error} retry={() => void status.refetch()} />
        ))}
      {status.isPending && <Skeleton height={120} />}
      {status.data?.models.length === 0 && <Text>{t('status.empty')}</Text>}
      <Stack gap="sm">
        {status.data?.models.map((model) => (
          <Model key={model.name} model={model} since={status.data.since} stepMs={status.data.stepMs} />
        ))}
      </Stack>
    </Page>
  );
}

interface ModelProps {
  readonly model: StatusPage['models'][number];
  readonly since: string;
  readonly stepMs: number;
}

function Model({ model: { name, up, steps }, since, stepMs }: ModelProps): ReactNode {
  const { t } = useTranslation('visitor');
  const { moment, labeled } = useWriting();
  const state = up === null ? 'unknown' : up ? 'up' : 'down';
  const start = new Date(since).getTime();
  const counted = (wanted: string): number => steps.filter((step) => step === wanted).length;
  return (
    <Paper withBorder p="md">
      <Group justify="space-between" mb="xs" wrap="nowrap" align="flex-start">
        <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
          {name}
        </Text>
        <Badge variant="light" color={up === null ? 'gray' : up ? 'teal' : 'red'} flex="none">
          {t(`status.now.${state}`)}
        </Badge>
      </Group>
      <Group
        gap={2}
        wrap="nowrap"
        h={28}
        role="img"
        aria-label={t('status.summary', { down: counted('down'), partial: counted('partial'), up: counted('up') })}
      >
        {steps.map((step, index) => {
          const at = new Date(start + index * stepMs).toISOString();
          return (
            <div
              key={at}
              title={labeled(moment(at), t(`status.step.${step}`))}
              style={{
                flex: 1,
                height: '100%',
                borderRadius: 2,
                background: `var(--mantine-color-${colors[step]}-${step === 'none' ? 3 : 6})`,
              }}
            />
          );
        })}
      </Group>
    </Paper>
  );
}
