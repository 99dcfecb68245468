// Tokens as bars, for eyes; the table beside it has the same for everybody. Over time the bars stand; those of names lie, so that
// every name has room. The whole name of a bar is in its tooltip.
import '@mantine/charts/styles.css';
import { BarChart } from '@mantine/charts';
import type { ReactNode } from 'react';
import type { Bar } from './usage-period.ts';
import { useWriting } from './when.ts';

export interface BarsProps {
  readonly bars: readonly (Bar & { readonly label: string; readonly title: string })[];
  readonly lying: boolean;
  readonly prompt: string;
  readonly completion: string;
  /** What the figures count. */
  readonly unit: string;
}

const longest = 18;
const cut = (text: string): string => (text.length > longest ? `${text.slice(0, longest - 1)}…` : text);

export default function Bars({ bars, lying, prompt, completion, unit }: BarsProps): ReactNode {
  const { short, figure } = useWriting();
  const labels = new Map(bars.map(({ title, label }) => [title, label]));
  const labelOf = (title: string): string => cut(labels.get(title) ?? title);
  return (
    <BarChart
      h={lying ? 80 + bars.length * 34 : 260}
      data={bars.map(({ title, promptTokens, completionTokens }) => ({
        title,
        [prompt]: promptTokens,
        [completion]: completionTokens,
      }))}
      dataKey="title"
      type="stacked"
      orientation={lying ? 'vertical' : 'horizontal'}
      withLegend
      legendProps={{ verticalAlign: 'top' }}
      series={[
        { name: prompt, color: 'gray.5' },
        { name: completion, color: 'vermilion.6' },
      ]}
      valueFormatter={figure}
      {...(lying
        ? {
            xAxisProps: { tickFormatter: short },
            xAxisLabel: unit,
            yAxisProps: { width: 132, tickFormatter: labelOf, interval: 0 },
          }
        : {
            yAxisProps: { tickFormatter: short, width: 56 },
            yAxisLabel: unit,
            xAxisProps: { tickFormatter: labelOf, minTickGap: 4 },
          })}
      barProps={{ isAnimationActive: false }}
      maxBarWidth={lying ? 18 : 56}
      // Hidden from people who cannot see it, who have the table; then nothing in it may take the focus either.
      barChartProps={{ accessibilityLayer: false }}
    />
  );
}
