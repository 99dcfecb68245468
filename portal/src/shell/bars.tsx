// A bar chart of tokens; the table next to it has the same figures in accessible form. Bars over time are vertical; bars of
// names are horizontal, so that names have room. The tooltip has the full name.
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
      // Hidden from assistive technology, which has the table; so nothing in it may be focusable.
      barChartProps={{ accessibilityLayer: false }}
    />
  );
}
