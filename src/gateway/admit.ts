// The last check before a call can have a cost. Takes an authorized call within its plan; proves that the gateway is
// not stopping, that the account's limits have room and hold the call, that it is the call's turn at the model, and
// that the journal has recorded the call, so that it is accounted for whatever happens next. A call that cannot be
// recorded is not started; a call refused here has cost nothing.

import type { Demand } from '../domain/demand.ts';
import { GatewayError } from '../domain/error.ts';
import type { Ask } from '../domain/limit.ts';
import { detail } from '../domain/refusal-details.ts';
import { isLater, type Soon } from '../domain/soon.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { UsageJournal } from '../store/ports/journal.ts';
import type { Slot } from '../store/ports/turn-queue.ts';
import type { Upstream } from '../upstream/server.ts';
import type { ServiceServer } from '../upstream/service-server.ts';
import { type Shaped, shapeAgain, shapeFor } from './apply-plan.ts';
import type { Decisions } from './decide-again.ts';
import type { Exchange } from './exchange.ts';
import { awaitLoad, type LoadTools } from './limits/await-load.ts';
import { expectedUse } from './limits/expected-use.ts';
import { type LimitTools, takeLimits } from './limits/take-limits.ts';
import { type PreparedTurn, prepareTurn, type TurnTools, takeTurn } from './limits/take-turn.ts';
import type { ModelFacts } from './model-facts.ts';
import { isFallback, type ModelNames, type NamedModel } from './model-names.ts';
import { costOf, draftOf, endTurn } from './record.ts';
import { isPublished, type ServiceOperation } from './services/published.ts';
import type { PublishedServices } from './services/published-services.ts';
import { stillPublished } from './services/still-published.ts';

declare class Mark {
  protected readonly admitted: true;
}
/** Proof that the call may be started now, at a model server. */
export interface Admitted extends Mark {
  readonly call: Shaped;
  /** The model server whose slot it holds; undefined for a call that occupies none. */
  readonly server: Upstream | undefined;
  /** What the choice of another server depends on; undefined where there is no other. */
  readonly demand: Demand<Upstream> | undefined;
}

declare class ServiceMark {
  protected readonly admittedToService: true;
}
/** Proof that the call may be started now, at a published service. */
export interface ServiceAdmitted extends ServiceMark {
  readonly call: Shaped & { readonly operation: ServiceOperation };
  /** The server whose slot it holds; undefined if the route has no slots. */
  readonly server: ServiceServer | undefined;
}

const isPublishedCall = (call: Shaped): call is ServiceAdmitted['call'] => isPublished(call.operation);

export const goesToRoute = (admitted: Admitted | ServiceAdmitted): admitted is ServiceAdmitted =>
  isPublishedCall(admitted.call);

export interface AdmitTools extends LimitTools, Omit<TurnTools<Upstream>, 'rules'>, Pick<LoadTools, 'loads'> {
  readonly journal: UsageJournal;
  readonly draining: boolean;
  readonly modelFacts: ModelFacts;
  /** The queue in front of the published services. */
  readonly serviceTurns: Pick<TurnTools<ServiceServer>, 'queue' | 'reachOf' | 'takes' | 'assign'>;
  readonly services: Pick<PublishedServices, 'table'>;
  readonly names: Pick<ModelNames, 'choose' | 'after'>;
  /** Checks the caller again; things may have changed while the call waited. */
  readonly decisions: Pick<Decisions, 'confirm'>;
}

/**
 * Admits the call at once, or when it is its turn: first in its account's line, if the account is at its concurrency
 * limit, then at the model. A caller who hangs up meanwhile leaves at once.
 * @throws GatewayError `draining`; `rate_limited`, `quota_exceeded`, `too_many_concurrent`; `queue_full`,
 * `queue_timeout`; `client_closed`; or `ledger_unavailable` if the journal cannot be written.
 */
export function admit(call: Shaped, exchange: Exchange, tools: AdmitTools): Soon<Admitted | ServiceAdmitted> {
  if (tools.draining) throw new GatewayError('draining');
  const ask = expectedUse(call);
  const enteredMs = tools.recorder.nowMs();
  exchange.readyMs = Math.round(enteredMs - exchange.startedMs);
  const model = modelOf(call);
  const isJoint = model !== undefined && call.metering.kind === 'metered';
  const prepared = isJoint ? prepareTurn(call, exchange, model, ask, enteredMs, tools) : undefined;
  const waits = takeLimits(call, exchange, ask, enteredMs, tools, prepared?.joint);
  if (!waits) return inTurn(call, exchange, ask, enteredMs, tools);
  return waits
    .then(() => tools.decisions.confirm(call, exchange))
    .then((still) => inTurn(served(still, exchange, tools), exchange, ask, enteredMs, tools, prepared))
    .finally(() => prepared?.giveUp());
}

/** The model for whose turn the call waits; undefined for a call that needs none. */
const modelOf = ({ operation, models }: Shaped): string | undefined =>
  operation.time === 'inference' && !isPublished(operation) ? models[0]?.name?.canonical : undefined;

/** Continues with the account's lease held. */
function inTurn(
  call: Shaped,
  exchange: Exchange,
  ask: Ask,
  enteredMs: MonotonicMs,
  tools: AdmitTools,
  prepared?: PreparedTurn<Upstream>,
): Soon<Admitted | ServiceAdmitted> {
  return isPublishedCall(call)
    ? atPublished(call, exchange, ask, enteredMs, tools)
    : atModel(call, exchange, ask, enteredMs, tools, prepared);
}

/** Takes the turn at the model, and writes the journal. */
function atModel(
  call: Shaped,
  exchange: Exchange,
  ask: Ask,
  enteredMs: MonotonicMs,
  tools: AdmitTools,
  prepared?: PreparedTurn<Upstream>,
): Admitted | Promise<Admitted> {
  if (tools.draining) throw new GatewayError('draining');
  addChanges(call.changes, exchange);
  const model = modelOf(call);
  if (model === undefined) return begin(call, exchange, undefined, tools.journal);
  const turn = prepared?.begin(call) ?? takeTurn(call, exchange, model, ask, enteredMs, tools);
  if (!isLater(turn)) {
    const loaded = awaitLoad(call, exchange, turn.server, model, tools);
    if (!loaded) return begin(call, exchange, turn, tools.journal);
    return loaded.then(() => beginLater(call, exchange, turn, { ask, enteredMs, tools }));
  }
  return turn.then(async (slot) => {
    await awaitLoad(call, exchange, slot.server, model, tools);
    return beginLater(call, exchange, slot, { ask, enteredMs, tools });
  });
}

/** The same for a call that waited: its caller is checked once more, and so is which model serves it. */
async function beginLater(
  call: Shaped,
  exchange: Exchange,
  slot: Slot<Upstream>,
  { ask, enteredMs, tools }: { readonly ask: Ask; readonly enteredMs: MonotonicMs; readonly tools: AdmitTools },
): Promise<Admitted> {
  const again = served(await tools.decisions.confirm(call, exchange), exchange, tools);
  if (again.models[0] !== call.models[0]) {
    exchange.assignment?.end();
    slot.release(0);
    return atModel(again, exchange, ask, enteredMs, tools);
  }
  // Earlier changes are already in the response headers.
  addChanges(again.changes.slice(call.changes.length), exchange);
  return begin(again, exchange, slot, tools.journal);
}

/**
 * Admits a call once more, with a model that takes the place of one whose servers cannot be reached. It has its lease and its entry in
 * the journal already, and gives its turn back. @throws GatewayError as `admit`.
 */
export async function admitInstead(
  model: NamedModel,
  call: Shaped,
  exchange: Exchange,
  tools: AdmitTools,
): Promise<Admitted> {
  endTurn(exchange, tools.recorder.nowMs());
  exchange.notes.noteUpstream(null);
  forgetLines(exchange.lines);
  const still = await tools.decisions.confirm(call, exchange);
  const other = shapeFor(model, still, tools.modelFacts);
  exchange.notes.noteModel(model);
  return atModel(other, exchange, expectedUse(other), tools.recorder.nowMs(), tools);
}

/** Lines about the model that the call does not get after all. */
const ofModel = /^x-sekisho-(?:changed|model|fallback|queue-wait-ms|load-.*)$/;

function forgetLines(lines: string[]): void {
  for (let at = lines.length - 2; at >= 0; at -= 2) if (ofModel.test(lines[at] as string)) lines.splice(at, 2);
}

/**
 * The same at a service: in the queue if its route has slots. `concurrent` also counts calls that wait, so that an account
 * cannot fill the queue.
 */
function atPublished(
  asked: ServiceAdmitted['call'],
  exchange: Exchange,
  ask: Ask,
  enteredMs: MonotonicMs,
  tools: AdmitTools,
): Soon<ServiceAdmitted> {
  if (tools.draining) throw new GatewayError('draining');
  const call = stillPublished(asked, tools.services);
  const { service } = call.operation;
  const seat = service.takeSeat(call.caller.principal.accountId);
  if (!seat)
    throw new GatewayError('too_many_concurrent', {
      message: detail('service_crowded', { service: service.name, most: String(service.route.concurrent) }),
    });
  exchange.notes.noteSeat(seat);
  const start = (started: ServiceAdmitted['call'], slot: Slot<ServiceServer> | undefined): ServiceAdmitted => {
    begin(started, exchange, undefined, tools.journal);
    return { call: started, server: slot?.server } as ServiceAdmitted;
  };
  if (service.route.slots === null || call.mcp?.waits === true) return start(call, undefined);
  const { rules, running, recorder, serviceTurns } = tools;
  const turn = takeTurn(call, exchange, call.operation.name, ask, enteredMs, {
    rules,
    running,
    recorder,
    ...serviceTurns,
  });
  if (!isLater(turn)) return start(call, turn);
  return turn.then(async (slot) => {
    const still = await tools.decisions.confirm(call, exchange);
    return start(stillPublished(still, tools.services), slot);
  });
}

/** The call for the servers that take calls now, and for a fallback of its model if none of them can serve that any more. */
function served(call: Shaped, exchange: Exchange, { names, modelFacts }: AdmitTools): Shaped {
  const [model] = call.models;
  // A fallback is announced in the head of the answer.
  if (!model || exchange.beganEarly) return shapeAgain(call, modelFacts);
  const other = names.choose(model, call.operation, call.caller.principal);
  if (other === model) return shapeAgain(call, modelFacts);
  exchange.notes.noteModel(other);
  return shapeFor(other, call, modelFacts);
}

function addChanges(changes: readonly string[], { lines }: Exchange): void {
  if (changes.length > 0) lines.push('x-sekisho-changed', changes.join(', '));
}

/** Tells the caller which model answers, where it is not the one that the call names. */
function addModelLines(model: NamedModel | undefined, { lines }: Exchange): void {
  if (model?.meaning === undefined || model.sent === undefined) return;
  lines.push('x-sekisho-model', model.sent);
  if (isFallback(model)) lines.push('x-sekisho-fallback', `${model.meaning.model.text} -> ${model.sent}`);
}

function begin(call: Shaped, exchange: Exchange, slot: Slot<Upstream> | undefined, journal: UsageJournal): Admitted {
  if (exchange.queuePosition > 0) {
    exchange.lines.push('x-sekisho-queue-wait-ms', String(exchange.queuedMs));
  }
  addModelLines(call.models[0], exchange);
  const draft = draftOf(exchange);
  if (!draft) throw new GatewayError('internal');
  const progress = () => {
    const { meter, bytesIn, bytesOut } = exchange;
    return { ...(meter?.read() ?? unsent), bytesIn, bytesOut, ...costOf(exchange) };
  };
  try {
    exchange.begun = journal.begin(draft, progress, exchange.begun);
  } catch (cause) {
    throw new GatewayError('ledger_unavailable', { cause });
  }
  return { call, server: slot?.server, demand: exchange.assignment?.demand } as Admitted;
}

const unsent = { promptTokens: 0, completionTokens: 0 };
