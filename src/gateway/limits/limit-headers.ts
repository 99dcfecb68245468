// Headers with the remaining limits: the IETF fields RateLimit-Policy and RateLimit
// (draft-ietf-httpapi-ratelimit-headers), and the fields of the caller's dialect. Only for identified callers, about
// their own limits.
import { windows } from '../../domain/calendar.ts';
import { type Limit, measures, mostOf, type Standing } from '../../domain/limit.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Clocks, SteadyMs } from '../../domain/time.ts';
import type { AddLimitFields, Dialect } from '../dialects/dialect.ts';

interface Texts {
  readonly policy: string;
  /** `"requests-minute";r=` of each limit, in order. */
  readonly labels: readonly string[];
}

const known = new WeakMap<readonly Limit[], Texts>();

/** The parts that stay the same for every call of a key until its plan changes. */
function textsOf(limits: readonly Limit[]): Texts {
  let texts = known.get(limits);
  if (texts === undefined) {
    const policies = limits.map(
      ({ label, most, window, measure }) =>
        `"${label}";q=${most};w=${windows[window].seconds};qu="${measures[measure].unit}"`,
    );
    const labels = limits.map(({ label }, i) => `${i === 0 ? '' : ', '}"${label}";r=`);
    texts = { policy: policies.join(', '), labels };
    known.set(limits, texts);
  }
  return texts;
}

/** Adds header lines, as name, value, name, value: what remains and, for a refusal, the policies. */
export function addLimitLines(
  lines: string[],
  { limits }: Principal,
  standing: Standing,
  { addLimitFields }: Dialect,
  clocks: Pick<Clocks, 'steady' | 'toWall'>,
  refused: boolean,
): void {
  if (limits.length === 0) return;
  const { policy, labels } = textsOf(limits);
  const now = clocks.steady();
  let fields = '';
  for (let i = 0; i < limits.length; i++) {
    const limit = limits[i] as Limit;
    fields += `${labels[i]}${leftOf(limit, standing)};t=${secondsTo(standing.endsAt(limit), now)}`;
  }
  if (refused) lines.push('ratelimit-policy', policy);
  lines.push('ratelimit', fields);
  if (!addLimitFields) return;
  addTightest(lines, 'requests', limits, standing, addLimitFields, now, clocks);
  addTightest(lines, 'tokens', limits, standing, addLimitFields, now, clocks);
}

function leftOf(limit: Limit, standing: Standing): number {
  return Math.max(0, mostOf(limit, standing) - standing.used(limit));
}

function secondsTo(endsAt: SteadyMs, now: SteadyMs): number {
  return Math.max(0, Math.ceil((endsAt - now) / 1000));
}

/** Adds the tightest limit over this measure, in the dialect's fields. */
function addTightest(
  lines: string[],
  measure: 'requests' | 'tokens',
  limits: readonly Limit[],
  standing: Standing,
  addLimitFields: AddLimitFields,
  now: SteadyMs,
  { toWall }: Pick<Clocks, 'toWall'>,
): void {
  let tightest: Limit | undefined;
  for (const limit of limits)
    if (limit.measure === measure && (tightest === undefined || leftOf(limit, standing) < leftOf(tightest, standing)))
      tightest = limit;
  if (!tightest) return;
  const endsAt = standing.endsAt(tightest);
  const [most, left] = [String(mostOf(tightest, standing)), String(leftOf(tightest, standing))];
  addLimitFields(lines, measure, most, left, secondsTo(endsAt, now), toWall(endsAt));
}

/** Headers are ASCII; a reason may be in any language. */
export function asciiOf(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, (piece) => encodeURIComponent(piece.toWellFormed()));
}
