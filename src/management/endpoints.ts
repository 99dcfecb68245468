// The table of contents of the management API. A row calls one use case and shows what it gives; the command line calls
// the same ones.
import { applications } from './applications/endpoints.ts';
import type { Endpoint } from './http/endpoint.ts';
import { accounts, keys } from './keys/endpoints.ts';
import { overview } from './overview/endpoints.ts';
import { mine } from './self-service/endpoints.ts';
import { session } from './sign-in/endpoints.ts';
import { ladder, plans, preview } from './suspensions/endpoints.ts';
import { usage } from './usage/endpoints.ts';

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
