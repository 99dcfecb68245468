// Sums of usage over a period, as a chart and as a table: over time, or by account, model or key.
import { Group, Paper, Skeleton, Stack, Text, Title } from '@mantine/core';
import { type ReactNode, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet } from '../api.ts';
import type { PageOf, UsageSum } from '../api-types.ts';
import { IconChartBar } from '../icons.ts';
import { useChosenOf } from './address.ts';
import { Bars, LyingBars } from './chart.tsx';
import { Empty } from './empty.tsx';
import { Segments } from './segments.tsx';
import { Sums } from './sums.tsx';
import { Trouble } from './trouble.tsx';
import { filled, type Period, periods, type Span, spanOf } from './usage-period.ts';
import { useWriting } from './when.ts';
import { useZone } from './zone.ts';

const bys = ['time', 'account', 'model', 'key'] as const;
export type By = (typeof bys)[number];

export interface UsageChoice {
  readonly by: By;
  readonly setBy: (by: By) => void;
  readonly period: Period;
  readonly setPeriod: (period: Period) => void;
  readonly span: Span;
  readonly zone: string;
  /** As in the management API. */
  readonly query: { readonly by: string; readonly since: string; readonly timeZone: string };
}

export function useUsageChoice(): UsageChoice {
  const zone = useZone();
  const [by, setBy] = useChosenOf('by', bys, 'time');
  const [period, setPeriod] = useChosenOf('days', periods, '30');
  const span = useMemo(() => spanOf(period, zone, Date.now()), [period, zone]);
  const query = { by: by === 'time' ? span.unit : by, since: span.since, timeZone: zone };
  return { by, setBy, period, setPeriod, span, zone, query };
}

/** The most bars of a chart; the table has all rows. */
const most = 20;

export interface UsageSumsProps {
  readonly path: string;
  readonly choice: UsageChoice;
  readonly groups: readonly By[];
  readonly empty: string;
}

export function UsageSums({ path, choice, groups, empty }: UsageSumsProps): ReactNode {
  const { t } = useTranslation('policy');
  const { by, setBy, period, setPeriod, span, zone, query } = choice;
  const { period: written, short, figure, dotted } = useWriting();
  const sums = useGet<PageOf<UsageSum>>(path, query);
  const rows = sums.data?.items;
  const timed = by === 'time';
  const Chart = timed ? Bars : LyingBars;
  const nameOf = ({ group, name, accountName }: UsageSum): string => {
    if (timed) return written(group, 'long');
    if (group === '') return t('member:usage.noModel');
    return dotted([name === null || name === '' ? group : name, accountName ?? '']);
  };
  return (
    <Stack>
      <Group>
        <Segments
          label={t('usage.periodOf')}
          value={period}
          onChange={setPeriod}
          data={periods.map((value) => ({ value, label: t(`usage.period.${value}`) }))}
        />
        <Segments
          label={t('usage.groups')}
          value={by}
          onChange={setBy}
          data={groups.map((value) => ({ value, label: t(`usage.by.${value}`) }))}
        />
      </Group>
      {sums.error && <Trouble problem={sums.error} retry={() => void sums.refetch()} />}
      {sums.isPending && <Skeleton height={220} />}
      {rows?.length === 0 && <Empty icon={<IconChartBar size={28} />} text={empty} />}
      {rows && rows.length > 0 && (
        <>
          <Paper withBorder p="md">
            <Group justify="space-between" mb="sm" gap="xs">
              <Title order={2} size="h4">
                {t('usage.chart')}
              </Title>
              {timed && (
                <Text size="xs" c="dimmed">
                  {t('usage.zone', { zone })}
                </Text>
              )}
            </Group>
            <Chart
              points={
                timed
                  ? filled(span.groups, rows).map((bar) => ({
                      id: bar.group,
                      label: written(bar.group, 'short'),
                      title: written(bar.group, 'long'),
                      values: [bar.promptTokens, bar.completionTokens],
                    }))
                  : rows.slice(0, most).map((row) => ({
                      id: row.group,
                      label: nameOf(row),
                      title: nameOf(row),
                      values: [row.promptTokens, row.completionTokens],
                    }))
              }
              series={[
                { name: t('member:usage.prompt'), color: 'gray.5' },
                { name: t('member:usage.completion'), color: 'vermilion.6' },
              ]}
              height={260}
              short={short}
              full={figure}
              unit={t('usage.unit')}
            />
          </Paper>
          <Sums
            rows={(timed ? rows.toReversed() : rows).slice(0, 200)}
            group={t(`usage.group.${timed ? span.unit : by}`)}
            caption={t(`usage.by.${by}`)}
            name={nameOf}
          />
        </>
      )}
    </Stack>
  );
}
