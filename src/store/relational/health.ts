// Reads and removes the sums of health over time. All databases can add up the buckets of a histogram by themselves, so a page
// of a year reads about as many rows as a page of a day.
import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import { type HistogramName, histogramNames, type Step, stepMs } from '../../domain/latency.ts';
import { bucketColumns } from '../ledger/step-sums.ts';
import type { HealthBy, HealthQuery, HealthStore } from '../ports/health.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

type Stepped = 'latency_steps' | 'outcome_steps';

const columnOf = { at: 'at', model: 'model', server: 'upstream' } as const satisfies Record<HealthBy, string>;

export function healthQueries({ db }: Connection): HealthStore {
  return {
    latencyBy: async (by, query) => {
      const sums = [...plainSums, ...histogramNames.flatMap((name) => bucketColumns[name])];
      const rows = await db
        .selectFrom('latency_steps')
        .where(inSteps(query))
        .select([columnOf[by], ...sums.map((name) => sql<number>`sum(${sql.ref(name)})`.as(name))])
        .groupBy(columnOf[by])
        .execute();
      return rows.map((row) => {
        const figures = row as unknown as Readonly<Record<string, number | string>>;
        const counts = Object.fromEntries(
          histogramNames.map((name) => [name, bucketColumns[name].map((column) => Number(figures[column]))]),
        ) as Record<HistogramName, number[]>;
        return {
          group: groupOf(by, query.step, figures),
          promptTokens: Number(figures['prompt_tokens']),
          completionTokens: Number(figures['completion_tokens']),
          runningMs: Number(figures['running_ms']),
          waitingMs: Number(figures['waiting_ms']),
          counts,
        };
      });
    },
    outcomesBy: async (by, query) => {
      const rows = await db
        .selectFrom('outcome_steps')
        .where(inSteps(query))
        .select([columnOf[by], 'outcome', 'code', sql<number>`sum(requests)`.as('requests')])
        .groupBy([columnOf[by], 'outcome', 'code'])
        .execute();
      return rows.map((row) => ({
        group: groupOf(by, query.step, row),
        outcome: row.outcome,
        code: row.code === '' ? null : row.code,
        requests: Number(row.requests),
      }));
    },
    pruneSteps: async (step, before, limit) => {
      let removed = 0;
      for (const table of ['latency_steps', 'outcome_steps'] as const)
        removed += await prune(db, table, step, Math.floor(before / stepMs[step]), limit);
      return removed;
    },
  };
}

const plainSums = ['prompt_tokens', 'completion_tokens', 'running_ms', 'waiting_ms'] as const;

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
