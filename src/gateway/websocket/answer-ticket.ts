// Gives a caller a ticket with which a page of a browser can open one WebSocket of a service: browsers send no headers of a page's
// choice with it, a key in the address would stand in logs, and cookies would let any page in. Takes a caller who may use the
// service; the ticket is for the page that the Origin header names. It costs nothing, and no limit counts it.
import { randomBytes } from 'node:crypto';
import { digestOf } from '../../domain/api-key.ts';
import { GatewayError } from '../../domain/error.ts';
import { detail } from '../../domain/refusal-details.ts';
import { isLater, type Soon } from '../../domain/soon.ts';
import type { TicketStore } from '../../store/ports/tickets.ts';
import { bodyPending } from '../answer/answer-head.ts';
import { endWith } from '../answer/unread.ts';
import type { Exchange } from '../exchange.ts';
import type { Claimed } from '../identity/replay-guard.ts';
import { type Recorder, type Settled, settle } from '../record.ts';
import type { AnswerSettings } from '../refuse.ts';
import { isPublished, type ServiceOperation } from '../services/published.ts';
import { protocolsFor } from './handshake.ts';
import { refuseOrigin } from './origin.ts';

/** Longer than a page needs to open its connection, shorter than anyone needs to find the ticket somewhere. */
const ticketSeconds = 30;

interface TicketCall extends Claimed {
  readonly operation: ServiceOperation;
}

export const asksForTicket = (call: Claimed): call is TicketCall =>
  isPublished(call.operation) && call.operation.service.ticketOperation === call.operation;

/** @throws GatewayError `origin_not_allowed`, `tickets_too_many`; `identity_unavailable` if none can be kept. */
export function answerTicket(
  { caller, operation: { service: published } }: TicketCall,
  exchange: Exchange,
  tickets: TicketStore,
  tools: { readonly recorder: Recorder; readonly settings: AnswerSettings },
): Soon<Settled> {
  const { origin } = exchange.request.headers;
  if (origin === undefined)
    throw new GatewayError('origin_not_allowed', {
      message: detail('ticket_origin', {}),
    });
  refuseOrigin(origin, published, exchange.request.headers.host);
  const { kind, keyId: id, digest } = caller.principal;
  const text = randomBytes(32).toString('base64url');
  const ticket = { route: published.name, origin, key: { kind, id, digest } };
  const kept = tickets.keep(digestOf(text), ticket, ticketSeconds * 1000);
  const answer = (isKept: boolean): Settled => {
    if (!isKept) throw new GatewayError('tickets_too_many');
    return send(text, exchange, tools);
  };
  return isLater(kept) ? kept.then(answer, unavailable) : answer(kept);
}

function unavailable(cause: unknown): never {
  throw new GatewayError('identity_unavailable', { cause, message: 'Tickets cannot be given right now.' });
}

function send(
  ticket: string,
  exchange: Exchange,
  { recorder, settings }: { readonly recorder: Recorder; readonly settings: AnswerSettings },
): Settled {
  const settled = settle(exchange, { outcome: 'completed', status: 200 }, recorder);
  const body = JSON.stringify({ protocols: protocolsFor(ticket), expires_in: ticketSeconds });
  const { response, id, cors, lines } = exchange;
  const head = ['content-type', 'application/json', 'content-length', String(body.length), 'cache-control', 'no-store'];
  if (bodyPending(exchange)) head.push('connection', 'close');
  response.writeHead(200, [...head, 'x-request-id', id, ...settings.ownHeaders, ...cors, ...lines]);
  endWith(exchange, body, settings.readerStallMs);
  return settled;
}
