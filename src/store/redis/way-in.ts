// A call's way in, in one round trip: its limits, and its turn only if these have room. Both are one script, which needs one server
// for the keys of the account and those of the model. In a Cluster they are on different ones, so there the turn is asked for later.
import type { JointEntry, Place, Slot } from '../ports/turn-queue.ts';
import { batchOf } from './batch.ts';
import type { RedisClient } from './client.ts';
import { reserve } from './limit-scripts.ts';

/** What the queue asks, and how it takes the answer. */
export interface EnterQuestion<Server> {
  readonly keys: readonly string[];
  readonly args: readonly string[];
  /** Returns undefined if `enter` is still to be asked. */
  readonly take: (reply: unknown) => JointEntry<Server>['answer'];
  /** There was no answer, so what happened is unknown. */
  readonly fail: (error: unknown) => void;
  /** The limits had no room, or could not be asked. */
  readonly skip: () => void;
}

export class RedisEntry<Server> implements JointEntry<Server> {
  answer: { readonly entered: Slot<Server> | Place | undefined } | undefined;
  readonly client: RedisClient;
  readonly #question: () => EnterQuestion<Server> | undefined;

  /** `question`: as of the moment when it is asked; undefined if the queue cannot ask then. */
  constructor(client: RedisClient, question: () => EnterQuestion<Server> | undefined) {
    this.client = client;
    this.#question = question;
  }

  /** Asks for the lease and, if there is one, for the turn. Returns what `reserve` says. @throws RedisAway, and then either may be there. */
  async ask(keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const question = this.#question();
    if (!question) return this.client.run(reserve, keys, args);
    const { keys: ofLane, args: ofTurn, take, fail, skip } = question;
    let said: [unknown, unknown?];
    try {
      const all = [keys.length, args.length, ...args, ...ofTurn];
      said = (await batchOf(this.client).ask('call', [...keys, ...ofLane], [], all)).said as typeof said;
    } catch (error) {
      fail(error);
      throw error;
    }
    if (said.length === 1) skip();
    else this.answer = take(said[1]);
    return said[0];
  }
}
