// The charts of health over time. The tables next to them have the same figures in accessible form.
import { Paper, SimpleGrid, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Latency } from '../api-types.ts';
import { Bars, Lines, type Point } from '../shell/chart.tsx';
import { useWriting } from '../shell/when.ts';
import { useTimes } from './times.ts';

type Measured = Latency['points'][number];
const shares = [
  ['p50', 'teal.6'],
  ['p95', 'yellow.6'],
  ['p99', 'vermilion.6'],
] as const;
const codeColors = ['vermilion.6', 'yellow.6', 'grape.6', 'blue.6', 'orange.6', 'cyan.7'] as const;

export function LatencyCharts({ read }: { readonly read: Latency }): ReactNode {
  const { t } = useTranslation('log');
  const { length } = useTimes();
  const { short, figure, span } = useWriting();
  const pointsOf = (valuesOf: (point: Measured) => Point['values']): readonly Point[] =>
    read.points.map((point) => ({
      id: point.at,
      label: span(point.at, read.stepMs, 'short'),
      title: span(point.at, read.stepMs, 'long'),
      values: valuesOf(point),
    }));
  const spread = (name: 'firstToken' | 'duration' | 'queue' | 'speed') =>
    pointsOf((point) => shares.map(([share]) => point[name]?.[share] ?? null));
  const codes = codesOf(read.points);
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
      <Framed title={t('latency.requests')}>
        <Bars
          points={pointsOf(({ requests, refused, failed }) => [requests - refused - failed, refused, failed])}
          series={[
            { name: t('requests.outcomes.completed'), color: 'teal.6' },
            { name: t('latency.refused'), color: 'yellow.6' },
            { name: t('latency.failed'), color: 'vermilion.6' },
          ]}
          short={short}
          full={figure}
        />
      </Framed>
      <Framed title={t('latency.errors')}>
        {codes.shown.length === 0 && <Text c="dimmed">{t('latency.noErrors')}</Text>}
        {codes.shown.length > 0 && (
          <Bars
            points={pointsOf((point) => [
              ...codes.shown.map((code) => point.codes[code] ?? 0),
              restOf(point, codes.shown),
            ])}
            series={[
              ...codes.shown.map((name, at) => ({ name, color: codeColors[at] ?? 'gray.5' })),
              ...(codes.isMore ? [{ name: t('latency.other'), color: 'gray.5' }] : []),
            ]}
            short={short}
            full={figure}
          />
        )}
      </Framed>
      <Framed title={t('latency.firstToken')} hint={t('latency.sent')}>
        <Lines points={spread('firstToken')} series={spreads} short={length} />
      </Framed>
      <Framed title={t('latency.duration')} hint={t('latency.sent')}>
        <Lines points={spread('duration')} series={spreads} short={length} />
      </Framed>
      <Framed title={t('latency.queue')}>
        <Lines points={spread('queue')} series={spreads} short={length} />
      </Framed>
      <Framed title={t('latency.speed')} hint={t('latency.slow')}>
        <Lines points={spread('speed')} series={spreads} short={short} />
      </Framed>
      <Framed title={t('latency.concurrency')} hint={t('latency.average')}>
        <Lines
          points={pointsOf(({ running, waiting }) => [running, waiting])}
          series={[
            { name: t('latency.running'), color: 'teal.6' },
            { name: t('latency.waiting'), color: 'yellow.6' },
          ]}
          short={short}
        />
      </Framed>
    </SimpleGrid>
  );
}

const spreads = shares.map(([name, color]) => ({ name, color }));

/** The most frequent codes of refusals and failures are shown separately. */
function codesOf(points: readonly Measured[]): { readonly shown: readonly string[]; readonly isMore: boolean } {
  const sums = new Map<string, number>();
  for (const { codes } of points)
    for (const [code, count] of Object.entries(codes)) sums.set(code, (sums.get(code) ?? 0) + count);
  const shown = [...sums]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, codeColors.length)
    .map(([code]) => code);
  return { shown, isMore: sums.size > shown.length };
}

const restOf = ({ codes }: Measured, shown: readonly string[]): number =>
  Object.entries(codes).reduce((sum, [code, count]) => sum + (shown.includes(code) ? 0 : count), 0);

interface FramedProps {
  readonly title: string;
  readonly hint?: string;
  readonly children: ReactNode;
}

function Framed({ title, hint, children }: FramedProps): ReactNode {
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
      {children}
    </Paper>
  );
}
