// What is left, for programs: the IETF fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers), on
// /v1 the x-ratelimit-* fields that OpenAI's clients read, and on /v1/messages Anthropic's own beside them. Only for
// callers we know, and only about themselves.
import { windows } from '../../domain/calendar.ts';
import { type Limit, measures } from '../../domain/plan.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Clocks, SteadyMs } from '../../domain/time.ts';
import type { Dialect } from '../operation.ts';
import { countOf, mostOf, type Standing } from './limiter.ts';

interface Texts {
  readonly policy: string;
  /** `"requests-minute";r=` of each limit, in order. */
  readonly labels: readonly string[];
}

const known = new WeakMap<readonly Limit[], Texts>();

/** What is the same for every call of a key until its plan changes. */
function textsOf(limits: readonly Limit[]): Texts {
  let texts = known.get(limits);
  if (texts === undefined) {
    const policies = limits.map(
      ({ label, most, window, measure }) =>
        `"${label}";q=${most};w=${windows[window].seconds};qu="${measures[measure]}"`,
    );
    const labels = limits.map(({ label }, i) => `${i === 0 ? '' : ', '}"${label}";r=`);
    texts = { policy: policies.join(', '), labels };
    known.set(limits, texts);
  }
  return texts;
}

/**
 * Adds the lines, as name, value, name, value: what is left, and, to a refusal, the policies it is left of.
 */
export function addLimitLines(
  lines: string[],
  { limits }: Principal,
  standing: Standing,
  dialect: Dialect,
  clocks: Pick<Clocks, 'steady' | 'toWall'>,
  refused: boolean,
): void {
  if (limits.length === 0) return;
  const { policy, labels } = textsOf(limits);
  const now = clocks.steady();
  let fields = '';
  for (let i = 0; i < limits.length; i++) {
    const limit = limits[i] as Limit;
    fields += `${labels[i]}${leftOf(limit, standing)};t=${secondsTo(countOf(limit, standing).endsAt, now)}`;
  }
  if (refused) lines.push('ratelimit-policy', policy);
  lines.push('ratelimit', fields);
  if (dialect === 'ollama') return;
  addFamily(lines, 'requests', limits, standing, dialect, now, clocks);
  addFamily(lines, 'tokens', limits, standing, dialect, now, clocks);
}

function leftOf(limit: Limit, standing: Standing): number {
  return Math.max(0, mostOf(limit, standing) - countOf(limit, standing).used(limit.measure));
}

function secondsTo(endsAt: SteadyMs, now: SteadyMs): number {
  return Math.max(0, Math.ceil((endsAt - now) / 1000));
}

/** The tightest limit over this measure, in the words of the SDKs. */
function addFamily(
  lines: string[],
  measure: 'requests' | 'tokens',
  limits: readonly Limit[],
  standing: Standing,
  dialect: Dialect,
  now: SteadyMs,
  { toWall }: Pick<Clocks, 'toWall'>,
): void {
  let tightest: Limit | undefined;
  for (const limit of limits)
    if (limit.measure === measure && (tightest === undefined || leftOf(limit, standing) < leftOf(tightest, standing)))
      tightest = limit;
  if (!tightest) return;
  const { endsAt } = countOf(tightest, standing);
  const [most, left] = [String(mostOf(tightest, standing)), String(leftOf(tightest, standing))];
  lines.push(`x-ratelimit-limit-${measure}`, most, `x-ratelimit-remaining-${measure}`, left);
  lines.push(`x-ratelimit-reset-${measure}`, goDuration(secondsTo(endsAt, now)));
  if (dialect !== 'anthropic') return;
  lines.push(`anthropic-ratelimit-${measure}-limit`, most, `anthropic-ratelimit-${measure}-remaining`, left);
  lines.push(`anthropic-ratelimit-${measure}-reset`, new Date(toWall(endsAt)).toISOString());
}

/** `6m0s`, `1s`: how OpenAI writes it. */
function goDuration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const tail = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes}m${tail}`;
  return minutes > 0 ? `${minutes}m${tail}` : tail;
}

/** A header holds ASCII; a reason may be in any language. */
export function asciiOf(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, (piece) => encodeURIComponent(piece.toWellFormed()));
}
