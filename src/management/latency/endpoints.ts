// The row about health over time.
import { z } from 'zod';
import { periodNames } from '../../domain/latency.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { readLatency } from './latency.ts';
import { latencySchema } from './schemas.ts';

export const latencyEndpoints: readonly Endpoint[] = [
  endpoint('getLatency', 'get /latency', {
    summary: 'Requests, errors, times and speeds over the last hour to the last year, by model and by server',
    group: 'Status',
    needs: 'management:read',
    fresh: 'never',
    pace: 'sum',
    query: z.strictObject({
      period: z.enum(periodNames).default('day'),
      until: z.iso.datetime().optional().describe('the end of the period; by default now'),
      model: z.string().max(200).optional().describe('or route:<name> of a service'),
      server: z.string().max(300).optional().describe('name'),
    }),
    answer: latencySchema,
    run: ({ store, query: { period, until, model, server }, now }) =>
      readLatency(store, { period, until: until === undefined ? now() : Date.parse(until), model, server }),
  }),
];
