// Reads and removes the sums of health over time. Every period has about as many steps, so a page of a year reads about as many
// rows as a page of a day.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import { addCounts, histogramNames, noCounts, type Step, stepMs } from '../../domain/latency.ts';
import { blocksOf } from '../ledger/coarse-sums.ts';
import { countColumns } from '../ledger/step-sums.ts';
import type { HealthBy, HealthQuery, HealthStore, LatencySum, OutcomeSum } from '../ports/health.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

type Stepped = 'latency_steps' | 'outcome_steps';

const columnOf = { at: 'at', model: 'model', server: 'upstream' } as const satisfies Record<HealthBy, string>;

export function healthQueries({ db }: Connection): HealthStore {
  return {
    latency: async (query) => {
      const length = stepMs[query.step];
      const [first, last] = [Math.floor(query.from / length), Math.ceil(query.before / length)];
      const sums = { at: new Sums(), model: new Sums(), server: new Sums() };
      for (let at = first; at < last; at += stepsPerRead) {
        const part = { ...query, from: at * length, before: Math.min(last, at + stepsPerRead) * length };
        for (const row of await db.selectFrom('latency_steps').selectAll().where(inSteps(part)).execute()) {
          const three = [
            sums.at.add(String(Number(row.at) * length), row),
            sums.model.add(row.model, row),
            sums.server.add(row.upstream, row),
          ];
          for (const name of histogramNames)
            addCounts(row[countColumns[name]], ...three.map(({ counts }) => counts[name]));
        }
        await nextTurn();
      }
      return { at: sums.at.list(), model: sums.model.list(), server: sums.server.list() };
    },
    outcomesBy: async (by, query) => {
      const sums = new Map<string, OutcomeSum & { requests: number }>();
      for (const part of by === 'at' ? [query] : inLongSteps(query)) {
        const rows = await db
          .selectFrom('outcome_steps')
          .where(inSteps(part))
          .select([columnOf[by], 'outcome', 'code', sql<number>`sum(requests)`.as('requests')])
          .groupBy([columnOf[by], 'outcome', 'code'])
          .execute();
        for (const row of rows) {
          const [group, code] = [groupOf(by, query.step, row), row.code === '' ? null : row.code];
          const name = `${row.outcome} ${code} ${group}`;
          const sum = sums.get(name);
          if (sum) sum.requests += Number(row.requests);
          else sums.set(name, { group, outcome: row.outcome, code, requests: Number(row.requests) });
        }
        await nextTurn();
      }
      return [...sums.values()];
    },
    pruneSteps: async (step, before, limit) => {
      let removed = 0;
      for (const table of ['latency_steps', 'outcome_steps'] as const)
        removed += await prune(db, table, step, Math.floor(before / stepMs[step]), limit);
      return removed;
    },
  };
}

/**
 * The same stretch, with whatever of it is whole steps of four days in those. Only for half days: shorter steps are forgotten
 * while pages still look back that far, and a page must not show models at a time of which it shows nothing else.
 */
function inLongSteps(query: HealthQuery): HealthQuery[] {
  if (query.step !== 'halfDay') return [query];
  const length = stepMs.halfDay;
  const stretch = { from: Math.floor(query.from / length), before: Math.ceil(query.before / length) };
  const { blocks, quarters } = blocksOf(stretch, [[stepMs.fourDays / length, stretch.before]]);
  return [
    ...blocks.map(({ step, first, last }) => ({
      ...query,
      step: 'fourDays' as const,
      from: first * step * length,
      before: last * step * length,
    })),
    ...quarters.map(({ from, before }) => ({ ...query, from: from * length, before: before * length })),
  ];
}

/** A thousand rows or two at most gates. */
const stepsPerRead = 12;

/** Rows of one grouping, added up. */
class Sums {
  readonly #sums = new Map<string, LatencySum>();

  /** Adds all but the histograms. */
  add(group: string, row: Tables['latency_steps']): LatencySum {
    let sum = this.#sums.get(group);
    if (!sum) {
      sum = { group, promptTokens: 0, completionTokens: 0, runningMs: 0, waitingMs: 0, counts: noCounts() };
      this.#sums.set(group, sum);
    }
    sum.promptTokens += Number(row.prompt_tokens);
    sum.completionTokens += Number(row.completion_tokens);
    sum.runningMs += Number(row.running_ms);
    sum.waitingMs += Number(row.waiting_ms);
    return sum;
  }

  list(): LatencySum[] {
    return [...this.#sums.values()];
  }
}

/** The rows of the query, in either table. */
function inSteps({ step, from, before, model, server }: HealthQuery): RawBuilder<SqlBool> {
  const length = stepMs[step];
  const ofModel = model === undefined ? sql`` : sql` and model = ${model}`;
  const ofServer = server === undefined ? sql`` : sql` and upstream = ${server}`;
  const [first, last] = [Math.floor(from / length), Math.ceil(before / length)];
  return sql<SqlBool>`step = ${length} and at >= ${first} and at < ${last}${ofModel}${ofServer}`;
}

function groupOf(by: HealthBy, step: Step, row: object): string {
  const value = (row as Readonly<Record<string, unknown>>)[columnOf[by]];
  return String(by === 'at' ? Number(value) * stepMs[step] : value);
}

async function prune(db: Kysely<Tables>, table: Stepped, step: Step, before: number, limit: number): Promise<number> {
  const old = db
    .selectFrom(table)
    .select('at')
    .where('step', '=', stepMs[step])
    .where('at', '<', before)
    .orderBy('at')
    .limit(1);
  const last = (await old.offset(limit - 1).executeTakeFirst())?.at ?? before - 1;
  const result = await db.deleteFrom(table).where('step', '=', stepMs[step]).where('at', '<=', last).executeTakeFirst();
  return Number(result.numDeletedRows);
}
