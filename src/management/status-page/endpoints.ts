// The endpoint of the public status page.
import { Fault } from '../fault.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { statusPageSchema } from './schemas.ts';
import { recentStatus } from './status-page.ts';

export const statusPageEndpoints: readonly Endpoint[] = [
  endpoint('getStatusPage', 'get /status-page', {
    summary: 'The state of each model, now and over the last thirty days, for everyone; 404 unless status_page is on',
    group: 'Status',
    needs: 'nothing',
    fresh: 'never',
    pace: 'look',
    answer: statusPageSchema,
    run: (context) => {
      if (context.live.now.statusPage === 'off') throw new Fault('status_page_off', {}, 'not_found');
      return recentStatus(context);
    },
  }),
];
