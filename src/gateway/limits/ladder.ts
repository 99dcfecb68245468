// Runs the suspension ladder: adds up what keys and accounts do over rolling windows, and takes the step of a rule when
// its threshold is reached. A step is stored with its evidence, in one transaction with the steps of rules over suspensions
// that it leads to, and takes effect at once; it ends by its end time. A shadow rule writes the same row and has no effect.
// Accounts without limits, which only operators have, are exempt: using the operator's key must not lock the operator out.
// Several gates judge by the sums of all of them (sums-of-gates.ts).
import { setTimeout as sleep } from 'node:timers/promises';
import { auditEvent, leadingTo } from '../../domain/audit.ts';
import { type KeyId, newSuspensionId } from '../../domain/id.ts';
import { stepEmail } from '../../domain/outbox.ts';
import { unlimited } from '../../domain/plan.ts';
import { formOf } from '../../domain/plural.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Rule, RuleMeasure } from '../../domain/rule.ts';
import { inForce, type Suspension, untouched } from '../../domain/suspension.ts';
import type { Clocks, WallMs } from '../../domain/time.ts';
import { isOwnRefusal, neverLeft, type UsageRecord } from '../../domain/usage.ts';
import type { Store } from '../../store/ports/store.ts';
import type { Exchange } from '../exchange.ts';
import type { EndObserver } from '../observers.ts';
import { recordFactsOf } from '../record-facts.ts';
import type { AccountUsage, RollingFigure, TakenStep } from './account-usage.ts';
import type { History } from './account-usages.ts';
import { RollingCount } from './rolling-count.ts';
import { amountOf, type SumsOfGates } from './sums-of-gates.ts';

type Steps = 'insertSuspension' | 'latestSteps' | 'countSuspensions' | 'listKeys' | 'revokeKey';

type StepStore = Pick<Store, Steps>;

export interface LadderStore extends Pick<Store, 'latestSteps'> {
  atomically<T>(work: (store: StepStore) => Promise<T>): Promise<T>;
}

export interface LadderTools {
  readonly store: LadderStore;
  /** Windows use the steady clock; the times of a step, and what is stored, the wall clock. */
  readonly clocks: Clocks;
  readonly sums: Pick<SumsOfGates, 'gates' | 'sum'>;
  /** Called after a step was stored, to apply it now. */
  readonly onStep: (suspension: Suspension) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/** How long after an answer of the ledger a figure that may be part of a breach is asked again. */
const askAgainMs = 2_000;

export class Ladder implements EndObserver {
  readonly name = 'the ladder';
  readonly #tools: LadderTools;
  #rules: readonly Rule[] = [];
  /** Rules over calls, without those over steps. */
  #watched: readonly Rule[] = [];
  /** When a rule was made or changed. Those of the start are older than anything that is counted. */
  readonly #madeAt = new WeakMap<Rule, WallMs>();
  #isBegun = false;
  readonly #closing = new AbortController();

  constructor(tools: LadderTools) {
    this.#tools = tools;
  }

  setRules(rules: readonly Rule[]): void {
    const known = new Map(this.#rules.map((rule) => [rule.name, rule]));
    // An unchanged rule stays the same object, which identifies its figures.
    this.#rules = rules
      .filter((rule) => rule.enabled)
      .map((rule) => {
        const before = known.get(rule.name);
        if (before && JSON.stringify(before) === JSON.stringify(rule)) return before;
        if (this.#isBegun) this.#madeAt.set(rule, this.#tools.clocks.wall());
        return rule;
      });
    this.#isBegun = true;
    this.#watched = this.#rules.filter((rule) => rule.measure !== 'suspensions');
  }

  close(): void {
    this.#closing.abort();
  }

  /** Fills the figures of a new account from its history in the store. */
  begin(usage: AccountUsage, history: History): void {
    const { clocks } = this.#tools;
    const keys = new Set([...history.buckets, ...history.steps].flatMap(({ keyId }) => keyId ?? []));
    for (const rule of this.#watched) {
      if (rule.per === 'account') usage.rolling.set(rule.name, figureOf(rule, null, history, clocks));
      else for (const key of keys) usage.key(key).rolling.set(rule.name, figureOf(rule, key, history, clocks));
    }
  }

  /** Skips callers without limits, and refusals that are due to capacity or to the gateway. */
  ended(exchange: Exchange, row: UsageRecord | undefined): void {
    const { caller, metering } = recordFactsOf(exchange);
    if (!row || !caller || metering?.kind !== 'metered') return;
    const { principal } = caller;
    if (!neverLeft(row.outcome, row.upstream))
      this.noteUse(principal, metering.usage, row.promptTokens + row.completionTokens);
    else if (isOwnRefusal(row.outcome, row.code)) this.noteRefusal(principal, metering.usage);
  }

  /** An admitted exchange is over. */
  noteUse(principal: Principal, usage: AccountUsage, tokens: number): void {
    for (const rule of this.#watched) {
      if (rule.measure === 'tokens') this.#note(rule, principal, usage, tokens);
      else if (rule.measure === 'requests') this.#note(rule, principal, usage, 1);
    }
  }

  noteRefusal(principal: Principal, usage: AccountUsage): void {
    for (const rule of this.#watched) if (rule.measure === 'refusals') this.#note(rule, principal, usage, 1);
  }

  /** This key's id was used with a wrong secret, or the key after its end. */
  noteFailure(principal: Principal, usage: AccountUsage): void {
    for (const rule of this.#watched)
      if (rule.measure === 'failedAuthentications') this.#note(rule, principal, usage, 1);
  }

  #note(rule: Rule, principal: Principal, usage: AccountUsage, amount: number): void {
    if (!appliesTo(rule, principal) || amount <= 0) return;
    const { steady, wall } = this.#tools.clocks;
    const now = steady();
    const { rolling } = rule.per === 'account' ? usage : usage.key(principal.lineage);
    let figure = rolling.get(rule.name);
    if (figure?.rule !== rule) {
      // A new or changed rule starts counting now; a step that it took earlier stays.
      figure = {
        rule,
        count: new RollingCount(rule.windowSeconds * 1000),
        // A shadow step has no effect, so it does not prevent the real one.
        taken: figure && figure.rule.shadow === rule.shadow ? figure.taken : noStep(),
        isAsked: false,
      };
      rolling.set(rule.name, figure);
    }
    const { taken } = figure;
    if (now < taken.until && wasLifted(figure, principal, wall())) {
      // Also drops what was counted meanwhile, such as the calls that the step itself refused.
      figure.count.clear();
      taken.until = 0;
    }
    figure.count.add(now, amount);
    if (now < taken.until) return;
    const total = figure.count.total(now);
    const gates = this.#gatesOf(rule);
    if (total * gates < rule.threshold || isTaken(rule, principal, wall())) return;
    if (gates === 1) this.#reached(figure, principal, total);
    else if (!figure.isAsked) void this.#ask(figure, principal);
  }

  /** Failed authentications are not in the ledger: each gate counts its own. */
  #gatesOf({ measure }: Rule): number {
    return measure === 'failedAuthentications' ? 1 : this.#tools.sums.gates;
  }

  /** Asks the ledger, again and again while this gate's part may be one of a breach: the other parts may come later. */
  async #ask(figure: RollingFigure, principal: Principal): Promise<void> {
    const { rule, count } = figure;
    const { signal } = this.#closing;
    const { steady } = this.#tools.clocks;
    figure.isAsked = true;
    try {
      do {
        // A store that is away has no news of calls either.
        const total = await this.#sumOf(figure, principal).catch(() => 0);
        if (steady() < figure.taken.until) return;
        if (total >= rule.threshold) {
          this.#reached(figure, principal, total);
          return;
        }
        await sleep(askAgainMs, undefined, { ref: false, signal });
      } while (this.#rules.includes(rule) && count.total(steady()) * this.#gatesOf(rule) >= rule.threshold);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      figure.isAsked = false;
    }
  }

  /** What counts at all gates. A step that another gate took meanwhile is noted as if this one had taken it. */
  async #sumOf(figure: RollingFigure, principal: Principal): Promise<number> {
    const { store, clocks, sums } = this.#tools;
    const { rule, taken } = figure;
    const now = clocks.wall();
    const last = await lastIn(store, rule, principal);
    if (last && last.createdAt >= taken.unsureSince) taken.unsureSince = Infinity;
    if (last && isStanding(rule, last, now)) {
      taken.until = Math.max(clocks.toSteady(last.endsAt ?? standsUntil(rule, last.createdAt)), clocks.steady() + 1);
      taken.storedAt = clocks.steady();
      figure.count.clear();
      return 0;
    }
    const begun = last ? Math.min(last.liftedAt ?? last.createdAt, now) : 0;
    const since = Math.max(now - rule.windowSeconds * 1000, begun, this.#madeAt.get(rule) ?? 0);
    return sums.sum(rule, principal, since, now);
  }

  #reached(figure: RollingFigure, principal: Principal, total: number): void {
    const { rule, count, taken } = figure;
    const { steady } = this.#tools.clocks;
    const now = steady();
    taken.until = standsUntil(rule, now);
    taken.storedAt = Infinity;
    count.clear();
    void this.#take(figure, principal, total).catch((error: unknown) => {
      // Not taken, as far as is known: restore the figure, and let the next call try again.
      taken.until = 0;
      count.add(now, total);
      this.#tools.onError(error);
    });
  }

  /** Rejects if the store did not confirm the step, which it may have nevertheless. */
  async #take({ rule, taken }: RollingFigure, principal: Principal, count: number): Promise<void> {
    const { store, clocks, onStep, onError } = this.#tools;
    const now = clocks.wall();
    const { unsureSince } = taken;
    taken.unsureSince = Math.min(unsureSince, now);
    const stored = await store.atomically(async (within) => {
      const last = await lastIn(within, rule, principal);
      // Another gate has seen the same, and was first.
      if (last && isStanding(rule, last, now)) return [];
      if (last && last.createdAt >= unsureSince) return undefined;
      return this.#write(within, rule, principal, count, now);
    });
    // Before others hear of it: a caller who is read from now on shows whether it was lifted.
    taken.storedAt = clocks.steady();
    taken.unsureSince = Infinity;
    // An earlier attempt had succeeded, and its step is over.
    if (!stored) taken.until = 0;
    for (const suspension of stored ?? []) await onStep(suspension).catch(onError);
  }

  /** Writes a step, what it does, and the steps of rules over suspensions that it leads to; returns them all. */
  async #write(
    within: StepStore,
    rule: Rule,
    principal: Principal,
    count: number,
    now: WallMs,
  ): Promise<readonly Suspension[]> {
    const suspension = stepOf(rule, principal, count, now);
    const author = { actor: `rule:${rule.name}`, at: now };
    const { id, keyId, step, shadow, reason, evidence } = suspension;
    const subject = keyId ?? principal.accountId;
    const event = auditEvent(author, `suspension.${step}`, subject, null, { id, shadow, reason, ...evidence });
    await within.insertSuspension(suspension, leadingTo(event, stepEmail(suspension)));
    if (shadow) return [suspension];
    if (step === 'revoke')
      for (const key of await within.listKeys(principal.accountId)) {
        if (keyId !== null && key.lineage !== keyId) continue;
        const revocation = auditEvent(author, 'key.revoke', key.id, { status: 'active' }, { status: 'revoked' });
        await within.revokeKey(key.id, now, revocation);
      }
    if (step !== 'suspend' && step !== 'review') return [suspension];
    return [suspension, ...(await this.#escalate(within, principal, now))];
  }

  /** Applies rules over repeated suspensions. */
  async #escalate(within: StepStore, principal: Principal, now: WallMs): Promise<readonly Suspension[]> {
    const taken: Suspension[] = [];
    for (const rule of this.#rules) {
      if (rule.measure !== 'suspensions' || !appliesTo(rule, principal)) continue;
      const last = await lastIn(within, rule, principal);
      if (last && isStanding(rule, last, now)) continue;
      // Suspensions that caused its last step do not count again.
      const since = Math.max(now - rule.windowSeconds * 1000, last ? Math.min(last.createdAt, now) + 1 : 0);
      const count = await within.countSuspensions(principal.accountId, subjectOf(rule, principal), since);
      if (count >= rule.threshold) taken.push(...(await this.#write(within, rule, principal, count, now)));
    }
    return taken;
  }
}

const noStep = (): TakenStep => ({ until: 0, storedAt: Infinity, unsureSince: Infinity });

/** The key that a step of the rule is against; null for the account. */
const subjectOf = ({ per }: Rule, { lineage }: Principal): KeyId | null => (per === 'key' ? lineage : null);

const appliesTo = ({ plans }: Rule, { plan }: Principal): boolean =>
  plan !== unlimited && (plans === null || plans.includes(plan.name));

async function lastIn(
  store: Pick<Store, 'latestSteps'>,
  rule: Rule,
  principal: Principal,
): Promise<Suspension | undefined> {
  const steps = await store.latestSteps(principal.accountId);
  return lastOf(rule, subjectOf(rule, principal), steps);
}

/** Builds a figure from the ledger; usage that caused an earlier step does not count again. */
function figureOf(rule: Rule, key: KeyId | null, { buckets, steps }: History, clocks: Clocks): RollingFigure {
  const { toSteady } = clocks;
  const now = clocks.steady();
  const windowMs = rule.windowSeconds * 1000;
  const last = lastOf(rule, key, steps);
  // Usage that caused a step does not count again, nor, if the step was lifted, anything before the lifting.
  const since = Math.max(now - windowMs, last ? Math.min(toSteady(last.liftedAt ?? last.createdAt), now) : 0);
  const count = new RollingCount(windowMs);
  for (const bucket of buckets)
    if (bucket.at > since && (key === null || bucket.keyId === key))
      count.add(bucket.at, amountOf(rule.measure, bucket));
  const stands = last !== undefined && last.liftedAt === null;
  const until = stands ? toSteady(last.endsAt ?? standsUntil(rule, last.createdAt)) : 0;
  return { rule, count, taken: { until, storedAt: now, unsureSince: Infinity }, isAsked: false };
}

/** Whether an operator lifted the step, so that counting starts again. */
function wasLifted({ rule, taken }: RollingFigure, principal: Principal, now: WallMs): boolean {
  if (rule.shadow || principal.readAt < taken.storedAt) return false;
  return !isTaken(rule, principal, now);
}

/** Whether a step that the rule took is in force. */
function isTaken(rule: Rule, { suspensions }: Principal, now: WallMs): boolean {
  for (const step of suspensions) if (step.rule === rule.name && inForce(step, now)) return true;
  return false;
}

/** The rule's newest step against that subject, shadow or real like the rule. `steps`: newest first. */
function lastOf({ name, shadow }: Rule, key: KeyId | null, steps: readonly Suspension[]): Suspension | undefined {
  return steps.find((step) => step.rule === name && step.keyId === key && step.shadow === shadow);
}

/** A step without an end is not taken again within its window. */
function standsUntil(rule: Rule, at: number): number {
  return at + (rule.durationSeconds ?? rule.windowSeconds) * 1000;
}

/** Whether the rule takes no further step because of this one of its own. */
function isStanding(rule: Rule, last: Suspension, now: WallMs): boolean {
  if (last.liftedAt !== null) return false;
  return now < (last.endsAt ?? standsUntil(rule, last.createdAt)) || inForce(last, now);
}

const measured: Record<RuleMeasure, string> = {
  tokens: 'token',
  requests: 'call',
  refusals: 'refused call',
  failedAuthentications: 'failed authentication',
  suspensions: 'suspension',
};

function stepOf(rule: Rule, principal: Principal, count: number, now: WallMs): Suspension {
  const { measure, threshold, windowSeconds, step } = rule;
  const figure = (value: number): string => value.toLocaleString('en-US');
  const window = windowSeconds % 3600 === 0 ? `${windowSeconds / 3600} h` : `${Math.round(windowSeconds / 60)} min`;
  return {
    ...untouched,
    id: newSuspensionId(now),
    accountId: principal.accountId,
    keyId: subjectOf(rule, principal),
    step,
    rule: rule.name,
    reason: `${figure(count)} ${formOf(count, measured[measure], `${measured[measure]}s`)} within ${window}; the threshold of the rule ${rule.name} is ${figure(threshold)}.`,
    evidence: {
      measure,
      count,
      threshold,
      windowSeconds,
      from: new Date(now - windowSeconds * 1000).toISOString(),
      until: new Date(now).toISOString(),
    },
    shadow: rule.shadow,
    createdAt: now,
    endsAt: rule.durationSeconds === null ? null : now + rule.durationSeconds * 1000,
  };
}
