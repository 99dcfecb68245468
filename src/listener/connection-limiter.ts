// Limits how many connections are open. When all places are taken and another client connects, an idle connection is evicted:
// first one that no known caller has used, and among those one from the network that holds the most, so that a client that
// opens connections and sends nothing evicts itself. A connection with a model call is not evicted. A page may be read for an
// hour.
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { networkOf } from '../domain/address.ts';
import { type Member, SwapSet } from '../domain/swap-set.ts';

/** Connections of one network: an IPv4 address, or 64 bits of an IPv6 one. */
interface Network {
  readonly name: string;
  strangers: number;
  all: number;
}

interface Seat extends Member {
  readonly socket: Socket;
  readonly network: Network;
  /** When it was taken, by order. */
  readonly turn: number;
  /** Of the request that is being answered. */
  response: ServerResponse | undefined;
  /** The request is not for a page. */
  stays: boolean;
  /** Pipelined requests behind it. */
  readonly behind: Turn[];
  /** A known caller has used it. */
  known: boolean;
  /** It will be closed after its call. */
  last: boolean;
}

/** Answers a request, and tells whether its caller was known. Never rejects. */
type Answering = () => Promise<boolean>;

interface Turn {
  readonly response: ServerResponse;
  readonly answer: Answering;
}

const seatOf = Symbol('seat');
type Seated = Socket & { [seatOf]?: Seat };

/** With this sample size, the chance to miss a network that has nine tenths of the connections is 10^−32. */
const drawn = 32;
/** The most pipelined requests behind the current one; no well-behaved client pipelines so many. */
const maxBehind = 100;

export class ConnectionLimiter {
  readonly #most: number;
  readonly #seats = new SwapSet<Seat>();
  readonly #networks = new Map<string, Network>();
  /** Places of connections during their handshake, by their remote end. */
  readonly #shaking = new Map<string, Seat>();
  #turns = 0;
  #ending = false;

  /** `most`: connections at once. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Accepts a new connection, or closes it if there is no place. Repeated calls for the same connection have no effect. */
  take(socket: Seated): void {
    if (socket[seatOf]) return;
    if (this.#seats.size >= this.#most && !this.#makeRoom()) {
      socket.destroy();
      return;
    }
    const network = this.#network(networkOf(socket.remoteAddress ?? ''));
    network.all++;
    network.strangers++;
    const seat: Seat = {
      slot: -1,
      socket,
      network,
      turn: this.#turns++,
      response: undefined,
      stays: false,
      behind: [],
      known: false,
      last: this.#ending,
    };
    socket[seatOf] = seat;
    this.#seats.add(seat);
    socket.once('close', () => this.#leave(seat));
  }

  /** The bytes of this connection will be decrypted by another socket, which does not exist yet. */
  shake(socket: Seated): void {
    const seat = socket[seatOf];
    const end = endOf(socket);
    if (!seat || end === undefined) return;
    this.#shaking.set(end, seat);
    socket.once('close', () => {
      if (this.#shaking.get(end) === seat) this.#shaking.delete(end);
    });
  }

  /** The handshake is complete, and this is the decrypted socket. */
  follow(socket: Seated): void {
    const end = endOf(socket);
    const seat = end === undefined ? undefined : this.#shaking.get(end);
    if (end === undefined || !seat) return;
    this.#shaking.delete(end);
    socket[seatOf] = seat;
  }

  /** Answers now, or after earlier requests on this connection (RFC 9112, section 9.3.2). */
  inTurn(socket: Seated, response: ServerResponse, answer: Answering): void {
    const seat = socket[seatOf];
    if (!seat) void answer();
    else if (!seat.response) void this.#serve(seat, socket, { response, answer });
    else if (seat.behind.length < maxBehind) seat.behind.push({ response, answer });
    else socket.destroy();
  }

  async #serve(seat: Seat, socket: Socket, first: Turn): Promise<void> {
    for (let next: Turn | undefined = first; next; next = seat.behind.shift()) {
      seat.response = next.response;
      seat.stays = true;
      if (seat.last) next.response.shouldKeepAlive = false;
      if ((await next.answer()) && !seat.known) this.#know(seat);
      if (seat.last) {
        // The response stays, so that nothing else is answered on this connection.
        seat.stays = false;
        closeAfter(socket, next.response);
        return;
      }
      // A disconnected client gets no more answers.
      if (socket.destroyed) break;
    }
    seat.response = undefined;
    seat.stays = false;
  }

  /** Whether a request of the connection is being answered. If so, the connection is closed after the answer. */
  endAfterAnswer(socket: Duplex): boolean {
    const seat = (socket as Seated)[seatOf];
    if (!seat?.response) return false;
    seat.last = true;
    return true;
  }

  /** Allows the current connection to be evicted if others need its place. */
  mayGo(socket: Seated): void {
    const seat = socket[seatOf];
    if (seat) seat.stays = false;
  }

  #know(seat: Seat): void {
    seat.known = true;
    if (seat.slot >= 0) seat.network.strangers--;
  }

  /**
   * From now on, closes each connection, also a new one, after the answer that is being sent on it, or after the next one. Answers say
   * so if they still can.
   */
  endAfterAnswers(): void {
    this.#ending = true;
    for (const seat of this.#seats.list()) {
      seat.last = true;
      if (seat.response?.headersSent === false) seat.response.shouldKeepAlive = false;
    }
  }

  /** Whether a connection is open on which no request is being answered. */
  get someIdle(): boolean {
    return this.#seats.list().some((seat) => !seat.response);
  }

  /** Makes all clients reconnect: idle connections are closed now, others after their answer. */
  renew(): void {
    for (const seat of this.#seats.list()) {
      if (seat.response) seat.last = true;
      else seat.socket.destroy();
    }
  }

  #makeRoom(): boolean {
    let first: Seat | undefined;
    for (let i = 0; i < drawn; i++) {
      const seat = this.#seats.at(Math.floor(Math.random() * this.#seats.size));
      if (seat && !seat.stays && (!first || goesSooner(seat, first))) first = seat;
    }
    if (!first) return false;
    this.#leave(first);
    // Discards unsent bytes; a clean close after them could look like the end of an answer.
    if (first.socket.writableLength > 0) first.socket.resetAndDestroy();
    else first.socket.destroy();
    return true;
  }

  #leave(seat: Seat): void {
    if (seat.slot < 0) return;
    this.#seats.remove(seat);
    const { network } = seat;
    if (!seat.known) network.strangers--;
    if (--network.all === 0) this.#networks.delete(network.name);
  }

  #network(name: string): Network {
    const found = this.#networks.get(name);
    if (found) return found;
    const network = { name, strangers: 0, all: 0 };
    this.#networks.set(name, network);
    return network;
  }
}

function goesSooner(one: Seat, other: Seat): boolean {
  if (one.known !== other.known) return !one.known;
  const [mine, others] = one.known
    ? [one.network.all, other.network.all]
    : [one.network.strangers, other.network.strangers];
  return mine === others ? one.turn < other.turn : mine > others;
}

/** After the last byte of the answer. One that is cut off ends its connection in a way that shows it. */
function closeAfter(socket: Socket, response: ServerResponse): void {
  if (response.writableFinished) socket.destroySoon();
  else response.once('close', () => socket.destroySoon());
}

const endOf = ({ remoteAddress, remotePort }: Socket): string | undefined =>
  remotePort === undefined ? undefined : `${remoteAddress ?? ''} ${remotePort}`;

/**
 * The number of connections for which the system has file descriptors; some connections need another one to a model server, and the
 * gateway needs some itself. Returns the wanted number if the system does not tell (anything but Linux).
 */
export function roomFor(wanted: number): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? wanted : Math.min(wanted, Math.max(16, Math.floor((Number(limit) - 200) * 0.75)));
  } catch {
    return wanted;
  }
}
