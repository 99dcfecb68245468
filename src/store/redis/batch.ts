// What calls ask on their way in and out in one turn of the event loop is one script. On its way in a call asks for its limits and, only if
// these have room, for its turn. On its way out its turn is given back, its limits are settled, and its lease is taken out once the
// ledger has its row; of that, what concerns the same keys is one question. In a Cluster each question goes on its own.
import type { Argument, RedisClient } from './client.ts';
import { end, landed, reserve } from './limit-scripts.ts';
import { asFunction, type Part, part, type Script, script } from './script.ts';
import { enter, release } from './turn-scripts.ts';

/** KEYS: those of `reserve`, then those of `enter`. How many keys and arguments `reserve` has, its arguments, those of `enter`. */
const call: Part = part(`
local keys, args = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
local said = reserve(k, a + 2, args, at)
if said[1] ~= 'lease' then return {said} end
return {said, enter(k + keys, a + 2 + args, n - 2 - args, at)}
`);

const questions = { call, end, release, landed } as const satisfies Readonly<Record<string, Part>>;
type Question = keyof typeof questions;
const names = Object.keys(questions) as Question[];

/** For each question: its number, how many keys and arguments it has, and its arguments. One that fails does not stop the others. */
const all: Script = script(`${asFunction('reserve', reserve)}${asFunction('enter', enter)}
${names.map((name) => asFunction(`to_${name}`, questions[name])).join('')}
local questions, answers, k, a = {${names.map((name) => `to_${name}`).join(', ')}}, {}, 0, 0
local at = redis.call('TIME')
while a < #ARGV do
  local keys, args = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  local ok, said = pcall(questions[tonumber(ARGV[a + 1])], k, a + 3, args, at)
  if not ok and type(said) == 'table' then said = said.err end
  answers[#answers + 1] = {ok and 1 or 0, said}
  k, a = k + keys, a + 3 + args
end
return answers
`);

/** Bounds how long other questions wait for one script. */
const mostAtOnce = 64;

/** What is asked; on the way out, all about the same keys with the same `head`. */
interface Asked {
  readonly name: Question;
  readonly keys: readonly string[];
  readonly head: readonly Argument[];
  readonly items: (readonly Argument[])[];
  readonly answer: PromiseWithResolvers<unknown>;
}

export class Batch {
  readonly #client: RedisClient;
  #asked: Asked[] = [];
  #count = 0;

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /**
   * Asks at the end of this turn of the event loop, or with `send`. The arguments are `head` and then those of each item that came
   * with the same keys and head, of which this one is the one `at`; resolves with what the script says to all of these.
   * @throws RedisAway, as `run` of the client.
   */
  async ask(
    name: Question,
    keys: readonly string[],
    head: readonly Argument[],
    item: readonly Argument[],
  ): Promise<{ readonly said: unknown; readonly at: number }> {
    if (this.#client.isCluster)
      return { said: await this.#client.run(questions[name], keys, [...head, ...item]), at: 0 };
    if (this.#count++ === 0) setImmediate(() => this.send());
    let asked =
      name === 'call'
        ? undefined
        : this.#asked.find((each) => each.name === name && isSame(each.keys, keys) && isSame(each.head, head));
    if (!asked) this.#asked.push((asked = { name, keys, head, items: [], answer: Promise.withResolvers<unknown>() }));
    const at = asked.items.push(item) - 1;
    if (this.#count >= mostAtOnce) this.send();
    return { said: await asked.answer.promise, at };
  }

  /** Sends what waits. */
  send(): void {
    const asked = this.#asked;
    this.#asked = [];
    this.#count = 0;
    if (asked.length > 0) void this.#run(asked);
  }

  async #run(asked: readonly Asked[]): Promise<void> {
    const keys = asked.flatMap((each) => each.keys);
    const args = asked.flatMap((each) => {
      const own = [...each.head, ...each.items.flat()];
      return [names.indexOf(each.name) + 1, each.keys.length, own.length, ...own];
    });
    try {
      const answers = (await this.#client.run(all, keys, args)) as [isDone: number, said: unknown][];
      for (const [at, { answer }] of asked.entries()) {
        const [isDone, said] = answers[at] as [number, unknown];
        if (isDone === 1) answer.resolve(said);
        else answer.reject(this.#client.failed(new Error(String(said))));
      }
    } catch (error) {
      for (const { answer } of asked) answer.reject(error);
    }
  }
}

const isSame = <T>(one: readonly T[], other: readonly T[]): boolean =>
  one === other || (one.length === other.length && one.every((each, at) => each === other[at]));

const batches = new WeakMap<RedisClient, Batch>();

/** That of all who use the client. */
export function batchOf(client: RedisClient): Batch {
  let found = batches.get(client);
  if (!found) batches.set(client, (found = new Batch(client)));
  return found;
}
