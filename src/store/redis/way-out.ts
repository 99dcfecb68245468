// A call's way out: its turn is given back, its limits are settled, and its lease is taken out once the ledger has its row. Nobody waits
// for that, so what comes together in one turn of the event loop is one script. In a Cluster each question goes on its own.
import type { Argument, RedisClient } from './client.ts';
import { end, landed } from './limit-scripts.ts';
import { asFunction, type Script, script } from './script.ts';
import { release } from './turn-scripts.ts';

const questions = { end, release, landed } as const satisfies Readonly<Record<string, Script>>;
type Question = keyof typeof questions;
const names = Object.keys(questions) as Question[];

/** For each question: its number, how many keys and arguments it has, and its arguments. One that fails does not stop the others. */
const all: Script = script(`${names.map((name) => asFunction(`to_${name}`, questions[name])).join('')}
local questions, answers, key, at = {${names.map((name) => `to_${name}`).join(', ')}}, {}, 0, 1
while at <= #ARGV do
  local keys, args = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local ok, said = pcall(questions[tonumber(ARGV[at])], {unpack(KEYS, key + 1, key + keys)}, {unpack(ARGV, at + 3, at + 2 + args)})
  if not ok and type(said) == 'table' then said = said.err end
  answers[#answers + 1] = {ok and 1 or 0, said}
  key, at = key + keys, at + 3 + args
end
return answers
`);

/** Bounds how long other questions wait for one script. */
const mostAtOnce = 64;

interface Asked {
  readonly name: Question;
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
  readonly answer: PromiseWithResolvers<unknown>;
}

export class WayOut {
  readonly #client: RedisClient;
  #asked: Asked[] = [];

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /** Asks at the end of this turn of the event loop, or with `send`. @throws RedisAway, as `run` of the client. */
  ask(name: Question, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    if (this.#client.isCluster) return this.#client.run(questions[name], keys, args);
    const answer = Promise.withResolvers<unknown>();
    if (this.#asked.length === 0) setImmediate(() => this.send());
    this.#asked.push({ name, keys, args, answer });
    return answer.promise;
  }

  /** Sends what waits. */
  send(): void {
    const asked = this.#asked;
    this.#asked = [];
    for (let at = 0; at < asked.length; at += mostAtOnce) void this.#run(asked.slice(at, at + mostAtOnce));
  }

  async #run(asked: readonly Asked[]): Promise<void> {
    const keys = asked.flatMap((each) => each.keys);
    const args = asked.flatMap((each) => [
      names.indexOf(each.name) + 1,
      each.keys.length,
      each.args.length,
      ...each.args,
    ]);
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

const waysOut = new WeakMap<RedisClient, WayOut>();

/** That of all who use the client. */
export function wayOutOf(client: RedisClient): WayOut {
  let found = waysOut.get(client);
  if (!found) waysOut.set(client, (found = new WayOut(client)));
  return found;
}
