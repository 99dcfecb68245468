// Answers the management plane's questions with the code that decides: how an account stands with its limits, and
// whether and why a call would pass. A preview is a dry run of the stages of a request; it releases at once what it
// reserves.
import { blankKey } from '../domain/api-key.ts';
import { type GatewayError, toGatewayError } from '../domain/error.ts';
import type { AccountId, KeyId } from '../domain/id.ts';
import type {
  AccountNow,
  GateNow,
  Introspection,
  LimitState,
  Preview,
  PreviewQuestion,
  Subject,
} from '../domain/introspection.ts';
import { type Ask, mostOf, needOf } from '../domain/limit.ts';
import { parseModelName } from '../domain/model-name.ts';
import { unlimited } from '../domain/plan.ts';
import { type Principal, principalOf } from '../domain/principal.ts';
import { restrictionsOf } from '../domain/suspension.ts';
import type { Clocks } from '../domain/time.ts';
import type { Gates } from '../store/ports/gates.ts';
import { shape } from './apply-plan.ts';
import { authorizeIntent } from './authorize.ts';
import { permit } from './check-access.ts';
import { Decisions } from './decide-again.ts';
import type { Operation } from './dialects/dialect.ts';
import { dialects } from './dialects/dialects.ts';
import type { Exchange } from './exchange.ts';
import { suppose } from './identify.ts';
import { bodiless, readJson } from './intent.ts';
import { type Metering, unmetered } from './limits/account-usage.ts';
import type { LiveStats } from './live-stats.ts';
import { refuseMaintenance } from './maintenance.ts';
import { type LimitRules, openUsage } from './metering.ts';
import type { ModelNames } from './model-names.ts';
import { canonicalTarget, type Matched, matchOperation } from './operation.ts';
import type { Gate } from './pipeline.ts';
import { refuseSpent } from './precheck.ts';
import { publicModels } from './public-models.ts';
import { RecordFacts, recordFactsOf } from './record-facts.ts';
import { type Rehearsal, rehearse } from './rehearse.ts';
import type { Published } from './services/published.ts';

type IntrospectionTools = Pick<
  Gate,
  'rules' | 'modelRules' | 'names' | 'modelFacts' | 'appealContact' | 'replays' | 'services' | 'maintenance'
>;

export function openIntrospection(gate: Gate, liveStats: LiveStats, gates: Pick<Gates, 'shown'>): Introspection {
  const { registry, running, queue, serviceTurns, loads, wallNow } = gate;
  const wallAt = (ms: number): number => Math.round(wallNow() - (performance.now() - ms));
  return {
    live: () => ({
      accepting: !gate.draining,
      running: running.size,
      queues: [...queue.snapshot(), ...serviceTurns.queue.snapshot()],
      upstreams: registry.all.map(({ name, health, takesCalls, kindName, inFlight, details }) => ({
        name,
        up: health.up ?? null,
        state: takesCalls ? health.state : 'draining',
        since: wallAt(health.sinceMs),
        reason: health.reason ?? null,
        kind: kindName ?? null,
        inFlight,
        queue: details.queue ?? null,
      })),
      loads: loads.now().map(({ server, load }) => ({
        server: server.name,
        model: load.model,
        since: load.startedMs === undefined ? null : wallAt(load.startedMs),
        leftMs: roundedOrNull(load.leftMs()),
        waiting: load.waiting,
      })),
    }),
    overview: () => ({
      accounts: accountsNow(running.exchanges(), liveStats.speeds()),
      refusals: liveStats.refusals(),
      recent: liveStats.recent(),
    }),
    others: async () =>
      (await gates.shown()).map(({ id, host, now }) => {
        const { running: count, recent, accounts } = JSON.parse(now) as Shown;
        return { id, host, running: count, recent, accounts };
      }),
    publicModels: () => publicModels(registry),
    operations: dialects.flatMap(({ name: dialect, operations }) =>
      operations.map(({ name, methods, path, scope, body }) => ({ name, dialect, methods, path, scope, body })),
    ),
    limits: (subject) => limitStates(subject, gate),
    preview: (question) => preview(question, gate),
    models: (subject) => {
      const principal = principalFor(subject, gate.rules.clocks);
      const listed = registry.reachableBy(principal).flatMap(({ models }) => models.listed);
      return Promise.resolve(modelsFor(principal, listed, gate.names));
    },
  };
}

type Shown = Pick<GateNow, 'running' | 'recent' | 'accounts'>;

/** What this gate tells the others of its database; `more` is for other parts of them. */
export function showNow({ running }: Pick<Gate, 'running'>, liveStats: LiveStats, more?: object): string {
  const shown: Shown = {
    running: running.size,
    recent: liveStats.recent(),
    accounts: accountsNow(running.exchanges(), liveStats.speeds()),
  };
  return JSON.stringify({ ...shown, ...more });
}

const roundedOrNull = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms));

/** The accounts with running or waiting calls, and their speed; the busiest first. */
function accountsNow(exchanges: readonly Exchange[], speeds: ReadonlyMap<AccountId, number>): AccountNow[] {
  const found = new Map<AccountId, { running: number; waiting: number }>();
  for (const account of speeds.keys()) found.set(account, { running: 0, waiting: 0 });
  for (const exchange of exchanges) {
    const { begun } = exchange;
    const { caller } = recordFactsOf(exchange);
    if (!caller) continue;
    const { accountId } = caller.principal;
    const now = found.get(accountId) ?? { running: 0, waiting: 0 };
    found.set(accountId, now);
    if (begun) now.running++;
    else now.waiting++;
  }
  return [...found]
    .map(([account, now]) => ({ account, ...now, tokensPerSecond: speeds.get(account) ?? 0 }))
    .toSorted((a, b) => b.running + b.waiting - a.running - a.waiting || b.tokensPerSecond - a.tokensPerSecond);
}

/** The current state of every windowed limit of an account, or of one of its keys. */
async function limitStates(subject: Subject, { rules }: IntrospectionTools): Promise<readonly LimitState[]> {
  const principal = principalFor(subject, rules.clocks);
  return statesOf(principal, await meteringFor(principal, subject, rules), undefined, rules);
}

/** The models that the subject may use, and the aliases of such models. */
function modelsFor<T extends { readonly name: string }>(
  principal: Principal,
  listed: readonly T[],
  names: ModelNames,
): T[] {
  const byName = new Map<string, T>();
  const found = new Map<string, T>();
  for (const model of listed) {
    const name = parseModelName(model.name);
    if (!name || byName.has(name.canonical)) continue;
    byName.set(name.canonical, model);
    if (principal.models.allow(name)) found.set(name.canonical, model);
  }
  for (const meaning of names.aliasesFor(principal)) {
    const { asked, shown } = meaning;
    const [first] = [meaning.model, ...meaning.fallbacks]
      .filter(({ name }) => names.allows(principal, { text: shown, name, meaning, sent: undefined }))
      .flatMap(({ name }) => byName.get(name.canonical) ?? []);
    if (first) found.set(asked, { ...first, name: shown });
    else found.delete(asked);
  }
  return [...found.values()];
}

/** Predicts whether the call would pass now, and why. */
async function preview(question: PreviewQuestion, tools: IntrospectionTools): Promise<Preview> {
  const { rules } = tools;
  const principal = principalFor(question, rules.clocks, tools.services.table.routeOf(question.path, undefined));
  const metering = await meteringFor(principal, question, rules);
  const changes: string[] = [];
  let ask: Ask | undefined;
  let refusal: GatewayError | undefined;
  try {
    ({ ask, refusal } = await rehearseCall(question, principal, changes, dryRun(principal, metering, tools)));
  } catch (error) {
    refusal = toGatewayError(error);
  }
  return {
    passes: refusal === undefined,
    status: refusal?.status ?? 200,
    code: refusal?.code ?? null,
    reason: refusal?.message ?? 'The call would be admitted once it is its turn.',
    retryAfterSeconds: refusal?.retryAfterSeconds ?? null,
    figures: refusal?.figures ?? null,
    changes,
    limits: await statesOf(principal, metering, ask, rules),
  };
}

type DryRun = IntrospectionTools & Pick<Gate, 'decisions'>;

/** The tools of the stages, with the subject in place of stored callers. */
function dryRun(principal: Principal, metering: Metering, tools: IntrospectionTools): DryRun {
  const { rules } = tools;
  return {
    ...tools,
    rules: metering.kind === 'metered' ? { ...rules, accountUsages: { of: () => metering.usage } } : rules,
    decisions: new Decisions({
      keyCache: { find: () => principal, findByDigest: () => principal },
      modelRules: tools.modelRules,
      wallNow: tools.rules.clocks.wall,
      appealContact: tools.appealContact,
    }),
  };
}

/** Runs the stages of a request on a generated body; the last stage releases what it reserved. */
async function rehearseCall(
  { path, model, promptTokens, maxTokens }: PreviewQuestion,
  principal: Principal,
  changes: string[],
  tools: DryRun,
): Promise<Rehearsal> {
  const { rules, appealContact } = tools;
  const at = rules.clocks.wall();
  const identified = suppose(matchPath(path, tools), principal);
  const accounted = await openUsage(identified, { notes: new RecordFacts() }, rules);
  const permitted = permit(accounted, { at, request: 'none' }, appealContact);
  const prechecked = await refuseSpent(refuseMaintenance(permitted, tools, at), [], rules);
  const { operation } = identified;
  const body = (): Buffer => Buffer.from(JSON.stringify(bodyFor(operation, model, maxTokens)));
  const intent = operation.service ? bodiless(prechecked, []) : readJson(prechecked, body(), tools.names, promptTokens);
  const confirmed = await tools.decisions.again(intent, { request: 'none' });
  const authorized = authorizeIntent(await tools.replays.claim(confirmed, { address: '' }), tools.modelRules);
  const shaped = shape(authorized, tools.modelFacts);
  changes.push(...shaped.changes);
  return rehearse(shaped, rules);
}

/** A service by the beginning of its path, which takes any method here; else a model's route. */
function matchPath(path: string, { services }: IntrospectionTools): Matched {
  const target = canonicalTarget(path);
  const published = services.table.routeOf(path, undefined);
  return published ? { operation: published.operation, target, parameter: path } : matchOperation('POST', target);
}

/** The smallest body of a request for an operation, as far as the stages read it. */
function bodyFor({ scope, reply }: Operation, model: string | undefined, maxTokens: number | undefined): object {
  const input = scope === 'inference:embed' ? { input: 'preview' } : { messages, prompt: 'preview' };
  const { length } = reply;
  if (maxTokens === undefined || !length) return { model, ...input };
  const most = { [length.name]: maxTokens };
  return { model, ...input, ...(length.inOptions ? { options: most } : most) };
}

const messages = [{ role: 'user', content: 'preview' }];

/** The account of a subject without one; it has no usage. */
const previewAccount = 'acc_preview' as AccountId;

async function meteringFor(
  principal: Principal,
  { account }: Subject,
  { accountUsages }: LimitRules,
): Promise<Metering> {
  if (principal.plan === unlimited) return unmetered;
  return (await accountUsages.of(account?.id ?? previewAccount)).metered;
}

async function statesOf(
  principal: Principal,
  metering: Metering,
  ask: Ask | undefined,
  { clocks }: LimitRules,
): Promise<readonly LimitState[]> {
  if (metering.kind === 'unmetered') return [];
  const { slowed } = restrictionsOf(principal.suspensions, clocks.wall());
  const { limits } = metering.usage.key(principal.lineage);
  const standing = await limits.look(principal, clocks.steady(), slowed);
  return principal.limits.map((limit) => {
    const most = mostOf(limit, standing);
    const used = standing.used(limit);
    return {
      name: limit.label,
      per: limit.on,
      measure: limit.measure,
      window: limit.window,
      limit: most,
      used,
      remaining: Math.max(0, most - used),
      needed: ask ? needOf(limit, ask) : 0,
      resetsAt: clocks.toWall(standing.endsAt(limit)),
    };
  });
}

/** As the key cache would build it; without a key, a new one with default settings, and the scope of the service that it calls. */
function principalFor(
  { account, plan, key, suspensions }: Subject,
  clocks: Clocks,
  service?: Pick<Published, 'route'>,
): Principal {
  const accountId = account?.id ?? previewAccount;
  const blank = blankKey('key_preview' as KeyId, accountId, clocks.wall());
  const anyKey = service ? { ...blank, scopes: [...blank.scopes, service.route.scope] } : blank;
  return principalOf(key ?? anyKey, plan, suspensions, clocks.steady());
}
