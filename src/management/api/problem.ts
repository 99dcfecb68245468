// How the management API says no: RFC 9457 problem details. The data plane's dialects are for model clients; people who
// write management tools get the standard's words.
import type { Response } from 'express';
import { z } from 'zod';
import { Refusal } from '../../domain/refusal.ts';
import { DoorCrowded } from '../sign-in/passwords.ts';

export const problemShape = z
  .strictObject({
    type: z.string().describe('about:blank: the code says what it is'),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('stable word for programs'),
    detail: z.string().optional(),
    request_id: z.string(),
    errors: z
      .array(z.strictObject({ at: z.string().describe('JSON path or parameter'), detail: z.string() }))
      .optional()
      .describe('every fault of the request, where there are several'),
  })
  .meta({ id: 'Problem' });

const problems = {
  invalid: { status: 400, title: 'The request is not valid.' },
  not_json: { status: 400, title: 'The request body is not valid JSON.' },
  unauthenticated: { status: 401, title: 'Sign in, or send an API key with management scopes.' },
  forbidden: { status: 403, title: 'You may not do that.' },
  tls_required: { status: 403, title: 'This gate answers over https:// alone.' },
  cross_site: { status: 403, title: 'This came from another site than the gate’s own page.' },
  sign_in_again: { status: 403, title: 'Sign in again first: this asks for a sign-in of the last ten minutes.' },
  not_found: { status: 404, title: 'There is no such thing here.' },
  method_not_allowed: { status: 405, title: 'This address does not answer that method.' },
  conflict: { status: 409, title: 'That does not go together with what is there.' },
  precondition_failed: { status: 412, title: 'It has been changed meanwhile.' },
  body_too_large: { status: 413, title: 'The request body is too large.' },
  unsupported_media_type: { status: 415, title: 'Send application/json.' },
  unknown_host: { status: 421, title: 'The gate does not know itself by that name; its operator sets PUBLIC_URL.' },
  repeat_differs: { status: 422, title: 'This Idempotency-Key was used for another request.' },
  too_many_failures: { status: 429, title: 'Too many wrong API keys came from your address.' },
  too_many_applications: { status: 429, title: 'Too many applications came from your address.' },
  too_many_requests: { status: 429, title: 'Too many requests; wait a little.' },
  too_many_attempts: { status: 429, title: 'Too many attempts; wait a little.' },
  provider_failed: {
    status: 502,
    title: 'The provider cannot be reached, or is not the one that the gate was told of.',
  },
  busy: { status: 503, title: 'Too many people are at the door at this moment; try again.' },
  store_busy: { status: 503, title: 'Another program is writing to the database; try again.' },
  store_unusable: {
    status: 503,
    title: 'The gate cannot write at this moment: its disk is full or failing. Its operator is told.',
  },
  internal: { status: 500, title: 'Something went wrong inside the gate.' },
} as const;

export type ProblemCode = keyof typeof problems;
export const problemCodes = Object.keys(problems) as ProblemCode[];
export const statusOf = (code: ProblemCode): number => problems[code].status;

interface Details {
  readonly detail?: string;
  readonly errors?: readonly { readonly at: string; readonly detail: string }[];
  readonly retryAfterSeconds?: number;
  readonly allow?: string;
}

/** A refusal on its way to the caller; `detail` is public. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly details: Details;
  constructor(code: ProblemCode, details: Details = {}) {
    super(details.detail ?? problems[code].title);
    this.code = code;
    this.details = details;
  }
}

/** Anything thrown as a problem; what nobody foresaw keeps its words to itself. */
export function toProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  if (thrown instanceof Refusal) return new Problem(thrown.kind, { detail: thrown.message });
  if (thrown instanceof DoorCrowded) return new Problem('busy', { retryAfterSeconds: 2 });
  // Express cannot decode a part of the path; nothing has such a name.
  if (thrown instanceof URIError) return new Problem('not_found');
  const { type, name, code = '' } = thrown as { type?: string; name?: string; code?: string };
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return new Problem('store_busy', { retryAfterSeconds: 2 });
  if (name === 'StoreUnusable' || /^(ENOSPC|EDQUOT|EROFS|SQLITE_(FULL|READONLY|IOERR|CANTOPEN))/.test(code))
    return new Problem('store_unusable', { retryAfterSeconds: 30 });
  if (type === 'entity.too.large') return new Problem('body_too_large');
  if (type === 'encoding.unsupported' || type === 'charset.unsupported') return new Problem('unsupported_media_type');
  if (type?.startsWith('entity.') || type === 'request.aborted' || type?.startsWith('request.size'))
    return new Problem('not_json');
  return new Problem('internal');
}

export function sendProblem(response: Response, { code, details }: Problem, requestId: string): void {
  const { status, title } = problems[code];
  if (details.retryAfterSeconds !== undefined) response.set('retry-after', String(details.retryAfterSeconds));
  if (details.allow !== undefined) response.set('allow', details.allow);
  if (status === 401) response.set('www-authenticate', 'Bearer realm="sekisho"');
  const body = {
    type: 'about:blank',
    title,
    status,
    code,
    ...(details.detail === undefined ? {} : { detail: details.detail }),
    request_id: requestId,
    ...(details.errors === undefined ? {} : { errors: details.errors }),
  };
  response.status(status).type('application/problem+json').send(JSON.stringify(body));
}
