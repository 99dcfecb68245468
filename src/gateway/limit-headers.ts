// What is left, for programs: the IETF fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers), the
// x-ratelimit-* fields that OpenAI's clients read, and the anthropic-ratelimit-* fields that Anthropic's do. Only for
// callers we know, and only about themselves.
import type { Limit, Measure } from '../domain/plan.ts';
import type { Principal } from '../domain/principal.ts';
import type { Standing } from './limits.ts';
import type { Dialect } from './operation.ts';

const windowSeconds = { minute: 60, day: 86_400, month: 2_592_000 } as const;
const policies = new WeakMap<readonly Limit[], string>();

/** The same for every call of a key until its plan changes. */
function policyOf({ limits }: Principal): string {
  let policy = policies.get(limits);
  if (policy === undefined) {
    policy = limits
      .map(({ label, most, window, measure }) => {
        const unit = measure === 'requests' ? 'requests' : 'tokens';
        return `"${label}";q=${most};w=${windowSeconds[window]};qu="${unit}"`;
      })
      .join(', ');
    policies.set(limits, policy);
  }
  return policy;
}

/** Adds the lines, as name, value, name, value. `now` is Unix milliseconds. */
export function addLimitLines(
  lines: string[],
  principal: Principal,
  standings: readonly Standing[],
  dialect: Dialect,
  now: number,
): void {
  if (standings.length === 0) return;
  let fields = '';
  let requests: Standing | undefined;
  let tokens: Standing | undefined;
  for (const standing of standings) {
    const { limit, most, count } = standing;
    const left = Math.max(0, most - count.used(limit.measure));
    const seconds = Math.max(0, Math.ceil((count.endsAt - now) / 1000));
    fields += `${fields === '' ? '' : ', '}"${limit.label}";r=${left};t=${seconds}`;
    if (limit.measure === 'requests') requests = tighter(requests, standing);
    else if (limit.measure === 'tokens') tokens = tighter(tokens, standing);
  }
  lines.push('ratelimit-policy', policyOf(principal), 'ratelimit', fields);
  if (requests) addFamily(lines, 'requests', requests, dialect, now);
  if (tokens) addFamily(lines, 'tokens', tokens, dialect, now);
}

function leftOf({ limit, most, count }: Standing): number {
  return Math.max(0, most - count.used(limit.measure));
}

function tighter(a: Standing | undefined, b: Standing): Standing {
  return a === undefined || leftOf(b) < leftOf(a) ? b : a;
}

function addFamily(
  lines: string[],
  what: Extract<Measure, 'requests' | 'tokens'>,
  standing: Standing,
  dialect: Dialect,
  now: number,
): void {
  const [most, left] = [String(standing.most), String(leftOf(standing))];
  const seconds = Math.max(0, Math.ceil((standing.count.endsAt - now) / 1000));
  lines.push(`x-ratelimit-limit-${what}`, most, `x-ratelimit-remaining-${what}`, left);
  lines.push(`x-ratelimit-reset-${what}`, goDuration(seconds));
  if (dialect !== 'anthropic') return;
  const reset = new Date(standing.count.endsAt).toISOString();
  lines.push(`anthropic-ratelimit-${what}-limit`, most, `anthropic-ratelimit-${what}-remaining`, left);
  lines.push(`anthropic-ratelimit-${what}-reset`, reset);
}

/** `6m0s`, `1s`: how OpenAI writes it. */
function goDuration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const tail = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes}m${tail}`;
  return minutes > 0 ? `${minutes}m${tail}` : tail;
}
