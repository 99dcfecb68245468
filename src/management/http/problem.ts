// Errors of the management API: RFC 9457 problem details, with the title in English or Japanese. The dialects of the data plane are
// only for clients of model servers.
import type { ErrorRequestHandler, Request, Response } from 'express';
import { z } from 'zod';
import { type Language, languages } from '../../domain/person.ts';
import { Refusal } from '../../domain/refusal.ts';
import { fill, type Said } from '../../domain/sentences.ts';
import { TooManyPasswordChecks } from '../sign-in/passwords.ts';
import { fieldOf } from './field-of.ts';
import { type ProblemCode, problems, titleOf } from './problem-codes.ts';
import { saidShape } from './said-shape.ts';

export const problemSchema = z
  .strictObject({
    type: z.string().describe('about:blank; the code identifies the problem'),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('stable word for programs'),
    detail: z.string().optional(),
    request_id: z.string(),
    ...saidShape,
    errors: z
      .array(z.strictObject({ at: z.string().describe('JSON path or parameter'), detail: z.string(), ...saidShape }))
      .optional()
      .describe('the faults of fields of the request, all of them'),
  })
  .meta({ id: 'Problem' });

/** The language that a caller prefers (RFC 9110 §12.5.4); English by default. */
export const languageOf = (request: Request): Language =>
  (request.acceptsLanguages([...languages]) || 'en') as Language;

interface Details {
  readonly said?: Said;
  /** Replaces the text of `said` if that is a clause. */
  readonly detail?: string;
  readonly errors?: readonly { readonly at: string; readonly said: Said }[];
  readonly retryAfterSeconds?: number;
  readonly allow?: string;
}

const detailOf = ({ said, detail }: Details): string | undefined => detail ?? (said && fill(said));

/** A refusal for the caller; its text is public. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly details: Details;
  constructor(code: ProblemCode, details: Details = {}) {
    super(detailOf(details) ?? problems[code].en);
    this.code = code;
    this.details = details;
  }
}

/** Converts anything thrown to a problem. The text of an unexpected error is not sent. */
export function toProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  if (thrown instanceof Refusal) {
    const { kind, message: detail, said } = thrown;
    const at = said && fieldOf(said);
    return new Problem(kind, {
      detail,
      ...(said && { said }),
      ...(said && at !== undefined && { errors: [{ at, said }] }),
    });
  }
  if (thrown instanceof TooManyPasswordChecks) return new Problem('busy', { retryAfterSeconds: 2 });
  // Express cannot decode a part of the path; no object has such a name.
  if (thrown instanceof URIError) return new Problem('not_found');
  const { type, name, code = '' } = thrown as { type?: string; name?: string; code?: string };
  if (name === 'StoreBusy') return new Problem('store_busy', { retryAfterSeconds: 2 });
  if (name === 'StoreAway') return new Problem('store_away', { retryAfterSeconds: 2 });
  if (name === 'StoreUnusable' || /^(ENOSPC|EDQUOT|EROFS)/.test(code))
    return new Problem('store_unusable', { retryAfterSeconds: 30 });
  if (type === 'entity.too.large') return new Problem('body_too_large');
  if (type === 'encoding.unsupported' || type === 'charset.unsupported') return new Problem('unsupported_media_type');
  if (type?.startsWith('entity.') || type === 'request.aborted' || type?.startsWith('request.size'))
    return new Problem('not_json');
  return new Problem('internal');
}

/** The title follows the caller's language (RFC 9457 §3.1.3); the detail is English. */
export function sendProblem(response: Response, { code, details }: Problem, requestId: string): void {
  const { status } = problems[code];
  const language = languageOf(response.req);
  response.vary('accept-language').set('content-language', language);
  if (details.retryAfterSeconds !== undefined) response.set('retry-after', String(details.retryAfterSeconds));
  if (details.allow !== undefined) response.set('allow', details.allow);
  if (status === 401) response.set('www-authenticate', 'Bearer realm="sekisho"');
  const detail = detailOf(details);
  const body = {
    type: 'about:blank',
    title: titleOf(code, language),
    status,
    code,
    ...(detail === undefined ? {} : { detail }),
    ...details.said,
    request_id: requestId,
    ...(details.errors === undefined
      ? {}
      : { errors: details.errors.map(({ at, said }) => ({ at, detail: fill(said), ...said })) }),
  };
  response.status(status).type('application/problem+json').send(JSON.stringify(body));
}

/** Answers with what a route throws; `onError` gets errors that concern the operator. An answer that has started is cut. */
export const problemHandler =
  (onError: (error: unknown, requestId: string) => void): ErrorRequestHandler =>
  (error: unknown, _request, response, _next) => {
    const problem = toProblem(error);
    const id = String(response.getHeader('x-request-id'));
    if (problem.code === 'internal' || problem.code === 'store_away' || problem.code === 'store_unusable')
      onError(error, id);
    if (response.headersSent) response.destroy();
    else sendProblem(response, problem, id);
  };
