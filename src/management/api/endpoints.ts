// The table of contents of the management API. A row calls one use case and shows what it gives; the command line calls
// the same ones.
import { applications } from './applications.ts';
import type { Endpoint } from './endpoint.ts';
import { accounts, keys, status } from './people.ts';
import { ladder, plans } from './policy.ts';
import { usage } from './records.ts';

export const endpoints: readonly Endpoint[] = [
  ...status,
  ...applications,
  ...accounts,
  ...keys,
  ...plans,
  ...ladder,
  ...usage,
];
