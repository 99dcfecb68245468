// The arithmetic of charts: round ticks of an axis, which labels have room, and the line through points.

const room = 5;

/** Round figures from 0 to at least `most`, at most five steps. `whole`: counts have no halves. */
export function ticksOf(most: number, whole: boolean): readonly number[] {
  const least = most <= 0 ? 1 : most / room;
  const power = 10 ** Math.floor(Math.log10(least));
  const found = ([1, 2, 5, 10] as const).find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10;
  const step = whole ? Math.max(1, found * power) : found * power;
  const count = Math.max(1, Math.ceil(most / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, at) => at * step);
}

const thin = /[ .,:;'|il]/;
const wide = /[mwMW@%]/;

/** About how wide a text of 12 px is; rather too much, because fonts differ. */
export const widthOf = (text: string): number =>
  Array.from(text, (sign) => (sign.charCodeAt(0) > 0x2e7f || wide.test(sign) ? 12 : thin.test(sign) ? 4 : 7.7)).reduce(
    (sum, width) => sum + width,
    0,
  );

/** Every how many-th label can be shown without touching the next. */
export function strideOf(labels: readonly string[], width: number): number {
  const longest = Math.max(1, ...labels.map(widthOf)) + 8;
  return Math.max(1, Math.ceil((longest * labels.length) / Math.max(1, width)));
}

/** SVG paths: a line through the points that there are, interrupted where one is missing, and a dot for each that stands alone. */
export function pathsOf(points: readonly (readonly [x: number, y: number | null])[]): {
  readonly line: string;
  readonly dots: string;
} {
  let [line, dots] = ['', ''];
  const isMissing = (at: number): boolean => (points[at]?.[1] ?? null) === null;
  for (const [at, [x, y]] of points.entries()) {
    if (y === null) continue;
    const place = `${x.toFixed(1)} ${y.toFixed(1)}`;
    if (!isMissing(at - 1)) line += `L${place}`;
    else if (isMissing(at + 1)) dots += `M${place}h0`;
    else line += `M${place}`;
  }
  return { line, dots };
}

/** As much of a text as has room, with an ellipsis. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = '';
  for (const sign of text) {
    if (widthOf(`${kept}${sign}…`) > width) break;
    kept += sign;
  }
  return `${kept.trimEnd()}…`;
}
