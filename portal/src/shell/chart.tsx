// Charts, drawn as SVG: bars and lines over time, and lying bars of names. Pointing at a place shows its figures. Hidden from
// assistive technology, which has the tables beside them; so nothing in them can have the focus.
import { Box, Group, Paper, Text } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import { type PointerEvent, type ReactNode, useState } from 'react';
import { cut, pathsOf, strideOf, ticksOf, widthOf } from './chart-scale.ts';

export interface Series {
  readonly name: string;
  /** A shade of the theme, such as `teal.6`. */
  readonly color: string;
}

export interface Point {
  readonly id: string;
  /** On the axis. */
  readonly label: string;
  /** Beside its figures. */
  readonly title: string;
  /** One for each series; null where nothing was measured. */
  readonly values: readonly (number | null)[];
}

export interface ChartProps {
  readonly points: readonly Point[];
  readonly series: readonly Series[];
  readonly height?: number;
  /** Figures on the axis. */
  readonly short: (value: number) => string;
  /** Figures of the place that is pointed at; as on the axis if there is none. */
  readonly full?: (value: number) => string;
  /** What the axis counts, if its figures do not say it. */
  readonly unit?: string;
}

const colorOf = (shade: string): string => `var(--mantine-color-${shade.replace('.', '-')})`;
const ink = { fill: 'var(--mantine-color-dimmed)', fontSize: 12 } as const;
const rule = { stroke: 'var(--mantine-color-default-border)' } as const;
const below = 24;
const above = 8;

const sumOf = (values: Point['values']): number => values.reduce<number>((sum, value) => sum + (value ?? 0), 0);

interface Scale {
  readonly ticks: readonly number[];
  /** The share of the axis, from 0 to 1. */
  readonly share: (value: number) => number;
}

function scaleOf(values: readonly number[]): Scale {
  const ticks = ticksOf(Math.max(0, ...values), values.every(Number.isInteger));
  const top = ticks.at(-1) ?? 1;
  return { ticks, share: (value) => value / top };
}

/** Stacked bars over time. */
export function Bars(props: ChartProps): ReactNode {
  const scale = scaleOf(props.points.map(({ values }) => sumOf(values)));
  return (
    <OverTime {...props} scale={scale}>
      {({ x, y, step }) => {
        const width = Math.min(56, Math.max(1, step * 0.8));
        return props.points.map(({ id, values }, at) => (
          <Stack
            key={id}
            values={values}
            series={props.series}
            place={(from, to) => ({ x: x(at) - width / 2, width, y: y(to), height: y(from) - y(to) })}
          />
        ));
      }}
    </OverTime>
  );
}

/** Lines over time; they are interrupted where nothing was measured. */
export function Lines(props: ChartProps): ReactNode {
  const all = props.points.flatMap(({ values }) => values.filter((value) => value !== null));
  return (
    <OverTime {...props} scale={scaleOf(all)}>
      {({ x, y }) =>
        props.series.map(({ name, color }, which) => {
          const { line, dots } = pathsOf(
            props.points.map(({ values }, at) => {
              const value = values[which] ?? null;
              return [x(at), value === null ? null : y(value)];
            }),
          );
          return (
            <g key={name} fill="none" stroke={colorOf(color)} strokeLinejoin="round" strokeLinecap="round">
              <path d={line} strokeWidth={2} />
              <path d={dots} strokeWidth={5} />
            </g>
          );
        })
      }
    </OverTime>
  );
}

const names = 132;
const each = 34;

/** Stacked bars of names, one below the other, so that names have room. */
export function LyingBars({ points, series, short, full = short, unit }: ChartProps): ReactNode {
  const { ticks, share } = scaleOf(points.map(({ values }) => sumOf(values)));
  const height = points.length * each + below;
  return (
    <Plot
      points={points}
      series={series}
      height={height}
      full={full}
      unit={unit}
      indexAt={(_, y) => Math.floor(y / each)}
      tipAt={(at, width) => ({ x: names + (width - names) / 2, y: Math.min(at * each, height - 96) })}
    >
      {(width, pointed) => {
        const x = (value: number): number => names + share(value) * (width - names - 24);
        const stride = strideOf(ticks.map(short), width - names - 24);
        return (
          <>
            {ticks.map((tick, at) => (
              <g key={tick}>
                <line x1={x(tick)} x2={x(tick)} y1={0} y2={height - below} {...rule} />
                {at % stride === 0 && (
                  <text x={x(tick)} y={height - 6} textAnchor="middle" {...ink}>
                    {short(tick)}
                  </text>
                )}
              </g>
            ))}
            {points.map(({ id, label, values }, at) => (
              <g key={id} opacity={pointed === undefined || pointed === at ? 1 : 0.6}>
                <text x={names - 8} y={at * each + each / 2 + 4} textAnchor="end" {...ink}>
                  {cut(label, names - 12)}
                </text>
                <Stack
                  values={values}
                  series={series}
                  place={(from, to) => ({ x: x(from), width: x(to) - x(from), y: at * each + 8, height: each - 16 })}
                />
              </g>
            ))}
          </>
        );
      }}
    </Plot>
  );
}

interface StackProps {
  readonly values: Point['values'];
  readonly series: readonly Series[];
  readonly place: (from: number, to: number) => { x: number; y: number; width: number; height: number };
}

function Stack({ values, series, place }: StackProps): ReactNode {
  let from = 0;
  return series.map(({ name, color }, which) => {
    const value = values[which] ?? 0;
    if (value <= 0) return null;
    from += value;
    return <rect key={name} {...place(from - value, from)} fill={colorOf(color)} />;
  });
}

interface Axes {
  readonly x: (at: number) => number;
  readonly y: (value: number) => number;
  /** Between two points, in pixels. */
  readonly step: number;
}

interface OverTimeProps extends ChartProps {
  readonly scale: Scale;
  readonly children: (axes: Axes) => ReactNode;
}

function OverTime({
  points,
  series,
  height = 200,
  short,
  full = short,
  unit,
  scale: { ticks, share },
  children,
}: OverTimeProps): ReactNode {
  const left = Math.max(24, ...ticks.map((tick) => widthOf(short(tick)))) + 8;
  const stepOf = (width: number): number => (width - left) / Math.max(1, points.length);
  const y = (value: number): number => height - below - share(value) * (height - below - above);
  return (
    <Plot
      points={points}
      series={series}
      height={height}
      full={full}
      unit={unit}
      indexAt={(x, _, width) => Math.floor((x - left) / stepOf(width))}
      tipAt={(at, width) => ({ x: left + (at + 0.5) * stepOf(width), y: above })}
    >
      {(width, pointed) => {
        const step = stepOf(width);
        const x = (at: number): number => left + (at + 0.5) * step;
        const stride = strideOf(
          points.map(({ label }) => label),
          width - left,
        );
        return (
          <>
            {ticks.map((tick) => (
              <g key={tick}>
                <line x1={left} x2={width} y1={y(tick)} y2={y(tick)} {...rule} />
                <text x={left - 8} y={y(tick) + 4} textAnchor="end" {...ink}>
                  {short(tick)}
                </text>
              </g>
            ))}
            {pointed !== undefined && (
              <rect x={left + pointed * step} width={step} y={above} height={height - below - above} {...shade} />
            )}
            {children({ x, y, step })}
            <g className="chart-times">
              {points.map(
                ({ id, label }, at) =>
                  at % stride === 0 &&
                  // The last one may have no room; its bar says it when it is pointed at.
                  (at === 0 || x(at) + widthOf(label) / 2 <= width) && (
                    <text key={id} x={x(at)} y={height - 6} textAnchor="middle" {...ink}>
                      {label}
                    </text>
                  ),
              )}
            </g>
          </>
        );
      }}
    </Plot>
  );
}

const shade = { fill: 'var(--mantine-color-default-border)', opacity: 0.6 } as const;

interface PlotProps {
  readonly points: readonly Point[];
  readonly series: readonly Series[];
  readonly height: number;
  readonly full: (value: number) => string;
  readonly unit: string | undefined;
  /** The point at a place, in pixels; perhaps one that does not exist. */
  readonly indexAt: (x: number, y: number, width: number) => number;
  readonly tipAt: (at: number, width: number) => { readonly x: number; readonly y: number };
  readonly children: (width: number, pointed: number | undefined) => ReactNode;
}

function Plot({ points, series, height, full, unit, indexAt, tipAt, children }: PlotProps): ReactNode {
  const { ref, width } = useElementSize();
  const [pointed, setPointed] = useState<number>();
  const point = pointed === undefined ? undefined : points[pointed];
  const follow = (event: PointerEvent<SVGSVGElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = indexAt(event.clientX - box.left, event.clientY - box.top, width);
    setPointed(at >= 0 && at < points.length ? at : undefined);
  };
  const tip = point && pointed !== undefined ? tipAt(pointed, width) : undefined;
  return (
    <div aria-hidden="true">
      <Group gap="md" mb="xs" justify="space-between">
        <Text size="xs" c="dimmed">
          {unit}
        </Text>
        <Group gap="md">
          {series.map(({ name, color }) => (
            <Key key={name} name={name} color={color} />
          ))}
        </Group>
      </Group>
      <Box ref={ref} pos="relative" h={height} className="chart">
        {width > 0 && (
          <svg
            width={width}
            height={height}
            viewBox={`0 0 ${width} ${height}`}
            style={{ display: 'block', maxWidth: '100%' }}
            aria-hidden="true"
            onPointerMove={follow}
            onPointerDown={follow}
            onPointerLeave={() => setPointed(undefined)}
          >
            {children(width, point && pointed)}
          </svg>
        )}
        {point && tip && (
          <Paper
            className="chart-tip"
            withBorder
            shadow="sm"
            p="xs"
            pos="absolute"
            top={tip.y}
            {...(tip.x > width / 2 ? { right: width - tip.x + 12 } : { left: tip.x + 12 })}
            w="max-content"
            maw="100%"
            style={{ pointerEvents: 'none', zIndex: 2 }}
          >
            <Text size="xs" fw={600}>
              {point.title}
            </Text>
            {series.map(({ name, color }, which) => {
              const value = point.values[which] ?? null;
              return (
                value !== null && (
                  <Group key={name} gap="md" justify="space-between" wrap="nowrap">
                    <Key name={name} color={color} />
                    <Text size="xs" fw={600} style={{ whiteSpace: 'nowrap' }}>
                      {full(value)}
                    </Text>
                  </Group>
                )
              );
            })}
          </Paper>
        )}
      </Box>
    </div>
  );
}

function Key({ name, color }: Series): ReactNode {
  return (
    <Group gap={6} wrap="nowrap">
      <Box w={10} h={10} style={{ borderRadius: 3, background: colorOf(color), flexShrink: 0 }} />
      <Text size="xs">{name}</Text>
    </Group>
  );
}
