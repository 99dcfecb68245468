// Tokens by day, model, key or account as bars, for eyes; the table beside it has the same for everybody.
import '@mantine/charts/styles.css';
import { BarChart } from '@mantine/charts';
import type { ReactNode } from 'react';
import type { UsageSum } from '../api-types.ts';
import { useWriting } from './when.ts';

export interface BarsProps {
  readonly rows: readonly UsageSum[];
  readonly prompt: string;
  readonly completion: string;
  readonly name: (row: UsageSum) => string;
}

/** More bars than that are no picture. */
const most = 31;

export default function Bars({ rows, prompt, completion, name }: BarsProps): ReactNode {
  const { short } = useWriting();
  return (
    <BarChart
      h={220}
      data={rows.slice(-most).map((row) => ({
        label: name(row),
        [prompt]: row.promptTokens,
        [completion]: row.completionTokens,
      }))}
      dataKey="label"
      type="stacked"
      withLegend
      series={[
        { name: prompt, color: 'gray.5' },
        { name: completion, color: 'vermilion.6' },
      ]}
      valueFormatter={short}
      barProps={{ isAnimationActive: false }}
      maxBarWidth={56}
      // Hidden from whoever cannot see it, who has the table; then nothing in it may take the focus either.
      barChartProps={{ accessibilityLayer: false }}
    />
  );
}
