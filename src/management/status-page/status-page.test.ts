import { expect, test } from 'vitest';
import type { OutcomeSum } from '../../store/ports/health.ts';
import { recentStatus } from './status-page.ts';

const halfDay = 43_200_000;
const now = 100 * halfDay + 5;
const end = (step: number, outcome: OutcomeSum['outcome'], code: OutcomeSum['code'], requests: number): OutcomeSum => ({
  group: String(step * halfDay),
  outcome,
  code,
  requests,
});

test('a step is judged by calls that servers completed or failed, and strangers share one look', async () => {
  const ends = [
    end(100, 'completed', null, 99),
    end(100, 'failed', 'upstream_failed', 1),
    end(100, 'refused', 'rate_limited', 900),
    end(99, 'completed', null, 49),
    end(99, 'failed', 'upstream_timeout', 1),
    end(98, 'completed', null, 1),
    end(98, 'refused', 'upstream_unreachable', 1),
    end(97, 'refused', 'maintenance', 9),
    end(97, 'client_closed', 'client_closed', 9),
  ];
  let looks = 0;
  const sources = {
    now: () => now,
    introspection: { publicModels: () => [{ name: 'A', canonical: 'a:latest', up: true }] },
    store: {
      readMaintenance: () => Promise.resolve(null),
      outcomesBy: (_: string, { model }: { model: string }) => {
        looks++;
        return Promise.resolve(model === 'a:latest' ? ends : []);
      },
    },
  } as unknown as Parameters<typeof recentStatus>[0];
  const [first, second] = await Promise.all([recentStatus(sources), recentStatus(sources)]);
  expect(first).toBe(second);
  expect(looks).toBe(1);
  expect(first.models).toEqual([{ name: 'A', up: true, steps: expect.any(Array) as unknown }]);
  expect(first.models[0]?.steps).toHaveLength(60);
  expect(first.models[0]?.steps.slice(-4)).toEqual(['none', 'down', 'partial', 'up']);
});
