// How refusals of published services are written. It is in no list of dialects: routes are made at run time, and have no
// format of their own.
import type { GatewayError } from '../../domain/error.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { lineFrames } from '../dialects/frames.ts';

const spellError = ({ code, message }: GatewayError, requestId: string): string =>
  JSON.stringify({ error: { code, message, request_id: requestId } });

/** A service's own errors pass as they are. */
const spellModelError = (): string => '';

export const servicesDialect: Dialect = {
  name: 'services',
  paths: [],
  operations: [],
  spellError,
  spellMissingModel: () => '',
  missingModelType: 'application/json',
  spellModelError,
  frames: lineFrames({ spellError, spellModelError }),
  headers: { onward: [], ofPages: [], limits: [] },
  onward: [],
  addLimitFields: undefined,
};
