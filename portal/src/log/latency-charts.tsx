// The charts of health over time. The tables next to them have the same figures in accessible form.
import '@mantine/charts/styles.css';
import { BarChart, LineChart } from '@mantine/charts';
import { Paper, SimpleGrid, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Latency } from '../api-types.ts';
import { useWriting } from '../shell/when.ts';
import { useTimes } from './times.ts';

type Point = Latency['points'][number];
const shares = [
  ['p50', 'teal.6'],
  ['p95', 'yellow.6'],
  ['p99', 'vermilion.6'],
] as const;
const codeColours = ['vermilion.6', 'yellow.6', 'grape.6', 'blue.6', 'orange.6', 'cyan.7'] as const;

export default function LatencyCharts({ read }: { readonly read: Latency }): ReactNode {
  const { t } = useTranslation('log');
  const { length } = useTimes();
  const { short } = useWriting();
  const label = useLabels(read.stepMs);
  const labelled = read.points.map((point) => ({ ...point, label: label(point.at) }));
  const spread = (name: 'firstToken' | 'duration' | 'queue' | 'speed') =>
    labelled.map((point) => ({ label: point.label, ...point[name] }));
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
      <Chart title={t('latency.requests')}>
        <Bars
          data={labelled.map(({ label: at, requests, refused, failed }) => ({
            label: at,
            [t('requests.outcomes.completed')]: requests - refused - failed,
            [t('latency.refused')]: refused,
            [t('latency.failed')]: failed,
          }))}
          series={[
            { name: t('requests.outcomes.completed'), color: 'teal.6' },
            { name: t('latency.refused'), color: 'yellow.6' },
            { name: t('latency.failed'), color: 'vermilion.6' },
          ]}
        />
      </Chart>
      <Errors points={labelled} />
      <Chart title={t('latency.firstToken')} hint={t('latency.sent')}>
        <Lines data={spread('firstToken')} format={length} />
      </Chart>
      <Chart title={t('latency.duration')} hint={t('latency.sent')}>
        <Lines data={spread('duration')} format={length} />
      </Chart>
      <Chart title={t('latency.queue')}>
        <Lines data={spread('queue')} format={length} />
      </Chart>
      <Chart title={t('latency.speed')} hint={t('latency.slow')}>
        <Lines data={spread('speed')} format={short} />
      </Chart>
      <Chart title={t('latency.concurrency')} hint={t('latency.average')}>
        <Lines
          data={labelled.map(({ label: at, running, waiting }) => ({
            label: at,
            [t('latency.running')]: running,
            [t('latency.waiting')]: waiting,
          }))}
          series={[
            { name: t('latency.running'), color: 'teal.6' },
            { name: t('latency.waiting'), color: 'yellow.6' },
          ]}
          format={short}
        />
      </Chart>
    </SimpleGrid>
  );
}

/** Refusals and failures, with the most frequent codes shown separately. */
function Errors({ points }: { readonly points: readonly (Point & { readonly label: string })[] }): ReactNode {
  const { t } = useTranslation('log');
  const sums = new Map<string, number>();
  for (const { codes } of points)
    for (const [code, count] of Object.entries(codes)) sums.set(code, (sums.get(code) ?? 0) + count);
  const shown = [...sums]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, codeColours.length)
    .map(([code]) => code);
  const other = t('latency.other');
  return (
    <Chart title={t('latency.errors')}>
      <Bars
        data={points.map(({ label, codes }) => {
          const rest = Object.entries(codes).reduce(
            (sum, [code, count]) => sum + (shown.includes(code) ? 0 : count),
            0,
          );
          return { label, ...Object.fromEntries(shown.map((code) => [code, codes[code] ?? 0])), [other]: rest };
        })}
        series={[
          ...shown.map((name, at) => ({ name, color: codeColours[at] ?? 'gray.5' })),
          ...(sums.size > shown.length ? [{ name: other, color: 'gray.5' }] : []),
        ]}
      />
    </Chart>
  );
}

interface ChartProps {
  readonly title: string;
  readonly hint?: string;
  readonly children: ReactNode;
}

function Chart({ title, hint, children }: ChartProps): ReactNode {
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h5" mb={hint === undefined ? 'sm' : 0}>
        {title}
      </Title>
      {hint !== undefined && (
        <Text size="xs" c="dimmed" mb="sm">
          {hint}
        </Text>
      )}
      <div aria-hidden="true">{children}</div>
    </Paper>
  );
}

interface Series {
  readonly name: string;
  readonly color: string;
}

type Data = readonly Readonly<Record<string, number | string | null>>[];

function Bars({ data, series }: { readonly data: Data; readonly series: readonly Series[] }): ReactNode {
  const { short } = useWriting();
  return (
    <BarChart
      h={200}
      data={[...data]}
      dataKey="label"
      type="stacked"
      withLegend={series.length > 0}
      series={[...series]}
      valueFormatter={short}
      barProps={{ isAnimationActive: false }}
      // Hidden from assistive technology, which has the tables; so nothing in it may be focusable.
      barChartProps={{ accessibilityLayer: false }}
    />
  );
}

interface LinesProps {
  readonly data: Data;
  readonly series?: readonly Series[];
  readonly format: (value: number) => string;
}

function Lines({ data, series = shares.map(([name, color]) => ({ name, color })), format }: LinesProps): ReactNode {
  return (
    <LineChart
      h={200}
      data={[...data]}
      dataKey="label"
      withLegend
      withDots={false}
      connectNulls={false}
      curveType="linear"
      series={[...series]}
      valueFormatter={format}
      lineProps={{ isAnimationActive: false }}
      lineChartProps={{ accessibilityLayer: false }}
    />
  );
}

/** Hours for periods of up to two days, otherwise days; in the time zone of the viewer. */
function useLabels(stepMs: number): (at: string) => string {
  const { language } = useTranslation().i18n;
  const format = new Intl.DateTimeFormat(
    language,
    stepMs < 7_200_000
      ? { hour: '2-digit', minute: '2-digit' }
      : stepMs < 86_400_000
        ? { month: 'short', day: 'numeric', hour: '2-digit' }
        : { year: '2-digit', month: 'short', day: 'numeric' },
  );
  return (at) => format.format(new Date(at));
}
