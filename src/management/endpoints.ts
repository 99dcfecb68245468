// All endpoints of the management API. Each calls one use case and presents its result; the command line calls the same use cases.
import { accountEndpoints } from './accounts/endpoints.ts';
import { announcementEndpoints } from './announcements/endpoints.ts';
import { applicationEndpoints } from './applications/endpoints.ts';
import { auditEndpoints } from './audit/endpoints.ts';
import { findEndpoints } from './find/endpoints.ts';
import type { Endpoint } from './http/endpoint.ts';
import { keyEndpoints } from './keys/endpoints.ts';
import { latencyEndpoints } from './latency/endpoints.ts';
import { maintenanceEndpoints } from './maintenance/endpoints.ts';
import { modelNameEndpoints } from './model-names/endpoints.ts';
import { modelEndpoints } from './models/endpoints.ts';
import { overviewEndpoints } from './overview/endpoints.ts';
import { planEndpoints, previewEndpoints } from './plans/endpoints.ts';
import { requestEndpoints } from './requests/endpoints.ts';
import { routeEndpoints } from './routes/endpoints.ts';
import { ruleEndpoints } from './rules/endpoints.ts';
import { selfServiceEndpoints } from './self-service/endpoints.ts';
import { serverEndpoints } from './servers/endpoints.ts';
import { settingEndpoints } from './settings/endpoints.ts';
import { signInEndpoints } from './sign-in/endpoints.ts';
import { statusPageEndpoints } from './status-page/endpoints.ts';
import { suspensionEndpoints } from './suspensions/endpoints.ts';
import { usageEndpoints } from './usage/endpoints.ts';
import { viewEndpoints } from './views/endpoints.ts';

export const endpoints: readonly Endpoint[] = [
  ...signInEndpoints,
  ...selfServiceEndpoints,
  ...overviewEndpoints,
  ...latencyEndpoints,
  ...settingEndpoints,
  ...statusPageEndpoints,
  ...maintenanceEndpoints,
  ...announcementEndpoints,
  ...applicationEndpoints,
  ...accountEndpoints,
  ...viewEndpoints,
  ...keyEndpoints,
  ...findEndpoints,
  ...planEndpoints,
  ...previewEndpoints,
  ...ruleEndpoints,
  ...suspensionEndpoints,
  ...serverEndpoints,
  ...routeEndpoints,
  ...modelEndpoints,
  ...modelNameEndpoints,
  ...usageEndpoints,
  ...requestEndpoints,
  ...auditEndpoints,
];
