// Every row of the tables in docs/redis.md that say what happens when Redis or a gate fails is held by a test with a real Redis.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../gate.ts';

type Held = Readonly<Record<string, readonly (readonly [file: string, name: string])[]>>;

const limits = 'hostile/redis-limits';
const sets = 'hostile/redis-sets';
const clock = 'hostile/clock-of-redis';
const turns = 'hostile/shared-turns';
const guesses = 'contracts/guesses';

/** By section and the first cell of the row: the tests, named by their beginnings. */
const sections: Readonly<Record<string, Held>> = {
  'When Redis cannot be used': {
    'slow, below a quarter of a second': [[limits, 'answers that take a tenth of their time are waited for']],
    'an answer is lost, with its connection or not': [[limits, '%s refuses no call at several gates']],
    'hung, gone, read-only, out of memory, no rights': [
      [limits, 'S5: while it is %s, long windows are closed and short ones go on'],
    ],
    'flushed, or restarted without its data': [
      [limits, 'a Redis that is %s gets back what runs and what was used'],
      [limits, 'S5: a flush under load lets no call through twice'],
    ],
    'failed over, with the last second lost': [[sets, 'behind Sentinels limits are exact after a failover']],
    'a hash slot of a Cluster is on its way': [[sets, 'in a Cluster everything works, also while a hash slot moves']],
    'two gateways meet one account for the first time': [[limits, 'gates that open one cold account at once']],
    'its clock is set, forward or back': [[clock, 'a clock that goes %i seconds']],
    'a gateway ends without a word': [[limits, "a dead gate's calls stop counting as running"]],
    'per minute': [[limits, 'each of several gates has its share, of calls per minute']],
    'concurrent calls': [
      [limits, 'while it is gone, three gates of which one runs most of an account'],
      [limits, 'while it is gone and not all gates have said what they run'],
    ],
    'per hour, day, week or month': [[limits, 'S5: while it is %s, long windows are closed and short ones go on']],
    none: [
      [limits, 'each of several gates has its share, of calls per minute from the next minute on, and calls without'],
    ],
  },
  Turns: {
    'a gateway ends without a word': [[turns, 'gives its slots and places back within five seconds']],
    'a gateway stands still and goes on': [[turns, 'and comes back cannot use what was given away']],
    'Redis flushed, or started again': [
      [turns, 'was flushed, each gate says again what it holds'],
      [turns, 'was started again, the same'],
    ],
    'Redis hung or gone': [
      [turns, 'hangs, each gate serves its share of the slots'],
      [turns, 'two gates send a model one call at a time, and while Redis hangs'],
    ],
    'Redis answers again': [[turns, 'hangs, each gate serves its share of the slots']],
    'a gateway alone loses its connection': [[turns, 'a gate that alone loses its connection uses its share']],
  },
  'Guesses and replays': {
    'wrong keys, applications': [
      [guesses, 'let exactly the budget for wrong keys through'],
      [guesses, 'without Redis each have their share of the budget'],
    ],
    'passwords and codes': [
      [guesses, 'let exactly five guesses of one password through'],
      [guesses, 'without Redis allow no more guesses of a password than one gate'],
    ],
    'signatures of the Ollama CLI': [
      [guesses, 'let one of the same signed call through'],
      [guesses, 'without Redis take no signature, which one gate alone does'],
    ],
    'tickets for WebSockets': [
      [guesses, 'take a ticket that another gate gave'],
      [guesses, 'without Redis give and take no ticket'],
    ],
  },
};

const page = readFileSync(join(root, 'docs/redis.md'), 'utf8');

/** The first cells of the tables in a section, without their heads. */
function rowsOf(section: string): string[] {
  const [, text = ''] = page.split(`\n## ${section}\n`);
  const lines = (text.split('\n## ')[0] as string).split('\n');
  return lines.flatMap((line, at) => {
    const cell = /^\| ([^|]+?) +\|/.exec(line)?.[1];
    return cell === undefined || lines[at + 1]?.startsWith('| --') === true ? [] : /^-+$/.test(cell) ? [] : [cell];
  });
}

test.each(Object.entries(sections))(
  'each row of the tables under "%s" in docs/redis.md has its tests',
  (section, held) => {
    expect(rowsOf(section).toSorted()).toEqual(Object.keys(held).toSorted());
    for (const [file, name] of Object.values(held).flat()) {
      const text = readFileSync(join(root, 'test', `${file}.test.ts`), 'utf8');
      const isThere = [`'${name}`, `"${name}`].some((begin) => text.includes(begin));
      expect(isThere, `${file}: ${name}`).toBe(true);
      expect(text).toContain('startRedis');
    }
  },
);
