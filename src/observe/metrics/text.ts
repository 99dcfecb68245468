// Writes metrics in the text format of Prometheus, version 0.0.4.
import type { Metric, Sample } from './metric.ts';

export const textType = 'text/plain; version=0.0.4; charset=utf-8';

export function textOf(metrics: readonly Metric[]): string {
  const lines: string[] = [];
  for (const metric of metrics) {
    lines.push(`# HELP ${metric.name} ${escapeHelp(metric.help)}`, `# TYPE ${metric.name} ${metric.type}`);
    for (const sample of metric.samples()) lines.push(lineOf(metric, sample));
  }
  return `${lines.join('\n')}\n`;
}

function lineOf({ name, labels }: Metric, { suffix, values, le, figure }: Sample): string {
  const pairs = labels.map((label, at) => `${label}="${escapeValue(values[at] ?? '')}"`);
  if (le !== undefined) pairs.push(`le="${le}"`);
  const set = pairs.length > 0 ? `{${pairs.join(',')}}` : '';
  return `${name}${suffix}${set} ${figureOf(figure)}`;
}

const figureOf = (figure: number): string =>
  Number.isFinite(figure) ? String(figure) : Number.isNaN(figure) ? 'NaN' : figure > 0 ? '+Inf' : '-Inf';

const escapeHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');

/** Names of models and servers come from outside; a control character has no place in a line. */
const escapeValue = (text: string): string =>
  escapeHelp(text)
    .replaceAll('"', '\\"')
    .replaceAll(/[\p{Cc}\u2028\u2029]/gu, '\uFFFD');
