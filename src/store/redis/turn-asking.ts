// Asks Redis about a lane: each question carries the run that the gate knows and how late it may come, and each answer says whether Redis
// still knows the gate.
import type { JointEntry } from '../ports/turn-queue.ts';
import { batchOf } from './batch.ts';
import type { RedisClient } from './client.ts';
import type { Lane, Ticket } from './turn-lane.ts';
import type { Presence } from './turn-presence.ts';
import { rejoin, release } from './turn-scripts.ts';
import type { EnterQuestion } from './way-in.ts';

export type LaneScript = Parameters<RedisClient['run']>[0];
/** What a decision was, whether the gate was known, running, waiting, accounts, µs of a turn or -1, grants, refusals, and more. */
export type Reply = [...FiguresOfReply, string[], string[], ...unknown[]];
type FiguresOfReply = [string, number, number, number, number, number];

export class LaneAsker<Server> {
  readonly #client: RedisClient;
  readonly #presence: Presence;
  readonly #rejoin: (lane: Lane<Server>) => void;

  /** `rejoin`: called for a lane where Redis did not know this gate any more. */
  constructor(client: RedisClient, presence: Presence, rejoinLane: (lane: Lane<Server>) => void) {
    this.#client = client;
    this.#presence = presence;
    this.#rejoin = rejoinLane;
  }

  /** Undefined if Redis does not answer, or if the gate has joined the lane again meanwhile, which covers what was asked. */
  async ask(lane: Lane<Server>, script: LaneScript, argsOf: () => readonly string[]): Promise<Reply | undefined> {
    const { gate } = lane;
    const presence = this.#presence;
    for (let tries = 0; tries < 3; tries++) {
      if (presence.isAway) return undefined;
      let reply: Reply;
      try {
        reply = (await this.#client.run(script, lane.keys, [...this.#about(lane, tries > 0), ...argsOf()])) as Reply;
      } catch (error) {
        if (lane.gate === gate) presence.fail(error);
        return undefined;
      }
      if (lane.gate !== gate) return undefined;
      if (!isLate(reply)) return script === rejoin || this.#isValid(lane, reply) ? reply : undefined;
      await presence.hailNext();
      if (lane.gate !== gate) return undefined;
    }
    presence.fail();
    return undefined;
  }

  /** What every decision is told first. */
  #about({ gate }: Lane<Server>, isRunFresh = false): readonly string[] {
    const { run, channelPrefix } = this.#presence;
    return [gate, run, this.#presence.latest(), isRunFresh ? '1' : '0', channelPrefix];
  }

  /** False if nothing was decided, or for a gate that Redis did not know any more. */
  #isValid(lane: Lane<Server>, reply: Reply): boolean {
    if (isLate(reply)) return false;
    if (reply[1] === 1 || lane.tickets.size === 0) return true;
    // Redis has given the places and slots of this gate away, because it has not heard of it for too long.
    this.#rejoin(lane);
    return false;
  }

  /** Gives a slot back, soon. If nothing answers, the gate joins again later, without the ticket. */
  async giveBack(lane: Lane<Server>, args: readonly string[]): Promise<Reply | undefined> {
    const { gate } = lane;
    try {
      const { said, at } = await batchOf(this.#client).ask('release', lane.keys, this.#about(lane), args);
      if (lane.gate !== gate) return undefined;
      const reply = at === 0 ? (said as Reply) : withoutTurns(said as Reply);
      if (isLate(reply)) return await this.ask(lane, release, () => args);
      return this.#isValid(lane, reply) ? reply : undefined;
    } catch (error) {
      if (lane.gate === gate) this.#presence.fail(error);
      return undefined;
    }
  }

  /** The question of `enter`, to go along with another one. `entered` acts on its answer. */
  entering(
    lane: Lane<Server>,
    args: readonly string[],
    entered: (reply: Reply) => JointEntry<Server>['answer'],
  ): EnterQuestion<Server> {
    const { gate } = lane;
    lane.entering++;
    return {
      keys: lane.keys,
      args: [...this.#about(lane), ...args],
      take: (answer) => {
        lane.entering--;
        const reply = answer as Reply;
        // If the gate has joined again meanwhile, the ticket went with its name before.
        return lane.gate === gate && this.#isValid(lane, reply) ? entered(reply) : undefined;
      },
      fail: (error) => {
        lane.entering--;
        if (lane.gate === gate) this.#presence.fail(error);
      },
      skip: () => void lane.entering--,
    };
  }
}

/** An answer to several: one of them acts on the turns that it gives. */
const withoutTurns = (reply: Reply): Reply =>
  isLate(reply) ? reply : [...(reply.slice(0, 6) as FiguresOfReply), [], []];

/** The run was another one, or the question came too late. */
const isLate = ([what]: Reply): boolean => what === 'stale' || what === 'late';

/** What Redis is told of a ticket. */
export const told = <Server>({ id, turn, cost, weight, behind, list }: Ticket<Server>): string[] => [
  id,
  turn.accountId,
  String(cost),
  String(turn.most),
  String(weight),
  behind ? '1' : '0',
  list,
];
