// The Via lines of the gateway's own requests that a call has caused.
import type { IncomingHttpHeaders } from 'node:http';
import { upstreamHeaders } from '../upstream/headers.ts';
import { viaName } from './receive.ts';

/**
 * Prevents two gateways in front of each other from asking in a loop: counts how often the request passed through one.
 * The rest of the caller's `Via` is dropped, so that all callers can share an answer.
 */
export const viaOf = ({ via }: IncomingHttpHeaders): string[] =>
  upstreamHeaders(via?.includes(viaName) ? { via: `1.1 ${viaName}` } : {}, `1.1 ${viaName}`, []);
