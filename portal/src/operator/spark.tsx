// A sparkline of the last two minutes; the figure itself is shown next to it as text.
import type { ReactNode } from 'react';

export function Spark({ values, length }: { readonly values: readonly number[]; readonly length: number }): ReactNode {
  const most = Math.max(1, ...values);
  const points = values.map((value, i) => {
    const x = ((length - values.length + i) / (length - 1)) * 100;
    return `${x.toFixed(2)},${(23 - (value / most) * 22).toFixed(2)}`;
  });
  return (
    <svg viewBox="0 0 100 24" preserveAspectRatio="none" width="100%" height="24" aria-hidden="true">
      <polyline
        points={points.join(' ')}
        fill="none"
        stroke="var(--mantine-color-vermilion-6)"
        strokeWidth="1.5"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}
