// The use cases of the request log: presents requests with names in addition to ids, and with their stages.
import { type AccountId, requestTime } from '../../domain/id.ts';
import { iso } from '../../domain/time.ts';
import { type Outcome, tokensPerSecond, type UsageRecord } from '../../domain/usage.ts';
import type { Store } from '../../store/ports/store.ts';
import { type FigureBounds, type RowFigure, rowFigures, type UsageFilter } from '../../store/ports/usage.ts';
import { Fault } from '../fault.ts';
import { whoseOf } from '../usage/whose.ts';

/** `showsServer`: names of servers are for operators. */
export async function showRequests(
  store: Pick<Store, 'displayNames'>,
  rows: readonly UsageRecord[],
  showsServer: boolean,
) {
  const names = await store.displayNames(rows.flatMap(({ accountId, keyId }) => [accountId, keyId]));
  const nameOf = (id: string): string => names.get(id)?.name || id;
  return rows.map((row) => ({
    id: row.id,
    at: iso(requestTime(row.id)),
    accountId: row.accountId,
    accountName: nameOf(row.accountId),
    keyId: row.keyId,
    keyName: nameOf(row.keyId),
    operation: row.operation,
    model: row.model,
    askedModel: row.askedModel,
    fallbackFor: row.fallbackFor,
    server: showsServer ? row.upstream : null,
    outcome: row.outcome,
    status: row.status,
    code: row.code,
    repeats: row.repeats,
    streamed: row.streamed,
    promptTokens: row.promptTokens,
    completionTokens: row.completionTokens,
    cacheReadTokens: row.cacheReadTokens,
    cacheWriteTokens: row.cacheWriteTokens,
    reasoningTokens: row.reasoningTokens,
    source: row.source,
    queuedMs: row.queuedMs,
    firstTokenMs: row.firstTokenMs ?? null,
    durationMs: row.durationMs,
    tokensPerSecond: tokensPerSecond(row) ?? null,
    unit: row.cost?.unit ?? null,
    units: row.cost?.units ?? 0,
    bytesIn: row.bytesIn,
    bytesOut: row.bytesOut,
    address: row.address,
  }));
}

export type ShownRequest = Awaited<ReturnType<typeof showRequests>>[number];

/** With its stages. */
export async function showRequest(store: Pick<Store, 'displayNames'>, row: UsageRecord, showsServer: boolean) {
  const [shown] = (await showRequests(store, [row], showsServer)) as [ShownRequest];
  return {
    ...shown,
    stages: stagesOf(row),
    changes: row.changes === undefined ? [] : row.changes.split(', '),
    refusedBy: row.refusedBy ?? null,
    detail: row.detail ?? null,
  };
}

export type Stage = 'check' | 'queue' | 'load' | 'server' | 'answer';

interface StageTime {
  readonly stage: Stage;
  /** Milliseconds since the head of the request. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** The stages of a request; older records have only some of them. */
export function stagesOf(row: UsageRecord): StageTime[] {
  const { readyMs, queuedMs, loadMs = 0, sentMs, firstTokenMs, firstByteMs, durationMs } = row;
  const stages: StageTime[] = [];
  let fromMs = 0;
  const until = (stage: Stage, toMs: number): void => {
    if (toMs > fromMs || (stage !== 'queue' && stage !== 'load'))
      stages.push({ stage, fromMs, toMs: Math.max(fromMs, toMs) });
    fromMs = Math.max(fromMs, toMs);
  };
  const began = firstTokenMs ?? firstByteMs ?? undefined;
  until('check', readyMs ?? (sentMs === undefined && began === undefined ? durationMs - queuedMs : 0));
  until('queue', fromMs + queuedMs);
  until('load', fromMs + loadMs);
  if (sentMs === undefined && began === undefined) return stages;
  fromMs = Math.max(fromMs, sentMs ?? 0);
  until('server', began ?? durationMs);
  if (began !== undefined) until('answer', durationMs);
  return stages;
}

type Bound = `${'min' | 'max'}${Capitalize<RowFigure>}`;

export type AskedRequests = Partial<Readonly<Record<Bound, number | undefined>>> & {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly account?: string | undefined;
  readonly key?: string | undefined;
  readonly model?: string | undefined;
  readonly askedModel?: string | undefined;
  readonly server?: string | undefined;
  readonly outcome?: Outcome | undefined;
  readonly status?: number | undefined;
  readonly code?: string | undefined;
};

/** @throws Fault if there is no such account or key. */
export async function requestFilterOf(store: Store, asked: AskedRequests): Promise<UsageFilter> {
  const { since, until, account, key, model, askedModel, server, outcome, status, code } = asked;
  return {
    ...(since === undefined ? {} : { since: Date.parse(since) }),
    ...(until === undefined ? {} : { until: Date.parse(until) }),
    ...(await whoseOf(store, { account, key })),
    ...(model === undefined ? {} : { model }),
    ...(askedModel === undefined ? {} : { askedModel }),
    ...(server === undefined ? {} : { server }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(status === undefined ? {} : { status }),
    ...(code === undefined ? {} : { code }),
    figures: figuresOf(asked),
  };
}

function figuresOf(asked: AskedRequests): Partial<Record<RowFigure, FigureBounds>> {
  const figures: Partial<Record<RowFigure, FigureBounds>> = {};
  for (const figure of rowFigures) {
    const name = `${figure[0]?.toUpperCase() ?? ''}${figure.slice(1)}` as Capitalize<RowFigure>;
    const [least, most] = [asked[`min${name}`], asked[`max${name}`]];
    if (least !== undefined || most !== undefined) figures[figure] = { least, most };
  }
  return figures;
}

/** Of one account, if one is given. @throws Fault. */
export async function requireRequest(
  store: Pick<Store, 'findUsage'>,
  id: string,
  accountId?: AccountId,
): Promise<UsageRecord> {
  const row = await store.findUsage(id);
  if (!row || (accountId !== undefined && row.accountId !== accountId))
    throw new Fault('request_missing', { id }, 'not_found');
  return row;
}
