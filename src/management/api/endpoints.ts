// The table of contents of the management API. A row calls one use case and shows what it gives; the command line calls
// the same ones.
import { applications } from './applications.ts';
import type { Endpoint } from './endpoint.ts';
import { overview } from './overview.ts';
import { accounts, keys } from './people.ts';
import { ladder, plans, preview } from './policy.ts';
import { usage } from './records.ts';
import { mine } from './self-service.ts';
import { session } from './session.ts';

export const endpoints: readonly Endpoint[] = [
  ...session,
  ...mine,
  ...overview,
  ...applications,
  ...accounts,
  ...keys,
  ...plans,
  ...preview,
  ...ladder,
  ...usage,
];
