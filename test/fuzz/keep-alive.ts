// How long Ollama keeps a model loaded for a `keep_alive`, written from its api.Duration and from Go's time package: a
// number of seconds or a duration in words; a negative one means forever.

const unitNs: Record<string, number> = {
  ns: 1,
  us: 1e3,
  '\u00b5s': 1e3,
  '\u03bcs': 1e3,
  ms: 1e6,
  s: 1e9,
  m: 6e10,
  h: 3.6e12,
};

/** Infinity: forever. Undefined: Ollama's default, or a value that it refuses. */
export function keepAliveSeconds(value: unknown): number | undefined {
  if (typeof value === 'number') return value < 0 ? Infinity : Math.trunc(value * 1e9) / 1e9;
  if (typeof value !== 'string') return undefined;
  const sign = /^[+-]/.exec(value)?.[0] ?? '';
  let rest = value.slice(sign.length);
  if (rest === '0') return 0;
  if (rest === '') return undefined;
  let ns = 0;
  while (rest !== '') {
    const match = /^(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/.exec(rest);
    if (!match || (match[1] === '' && !match[2])) return undefined;
    const unit = unitNs[match[3] as string] as number;
    // Whole units; a fraction is truncated to nanoseconds.
    ns += Number(match[1]) * unit + Math.trunc(Number(`0.${match[2] || '0'}`) * unit);
    rest = rest.slice(match[0].length);
  }
  if (ns > 9.223372036854775e18) return undefined;
  return sign === '-' && ns > 0 ? Infinity : ns / 1e9;
}
