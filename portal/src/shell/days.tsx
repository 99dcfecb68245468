// Tokens by day as bars, for eyes; the table beside it has the same for everybody.
import '@mantine/charts/styles.css';
import { BarChart } from '@mantine/charts';
import type { ReactNode } from 'react';
import type { UsageSum } from '../shapes.ts';
import { useWriting } from './when.ts';

export interface DaysProps {
  readonly rows: readonly UsageSum[];
  readonly prompt: string;
  readonly completion: string;
}

export default function Days({ rows, prompt, completion }: DaysProps): ReactNode {
  const { short } = useWriting();
  return (
    <BarChart
      h={220}
      data={rows.map((row) => ({
        day: row.group.slice(5),
        [prompt]: row.promptTokens,
        [completion]: row.completionTokens,
      }))}
      dataKey="day"
      type="stacked"
      withLegend
      series={[
        { name: prompt, color: 'gray.5' },
        { name: completion, color: 'vermilion.6' },
      ]}
      valueFormatter={short}
      barProps={{ isAnimationActive: false }}
      // Hidden from whoever cannot see it, who has the table; then nothing in it may take the focus either.
      barChartProps={{ accessibilityLayer: false }}
    />
  );
}
