// A script that Redis runs as one step, and the name under which Redis keeps it.
import { createHash } from 'node:crypto';

export interface Script {
  readonly text: string;
  readonly sha: string;
  /**
   * Sent as a whole each time, for scripts that run rarely and in order: one that is sent by its name, and is unknown to the server,
   * runs after commands that were sent later.
   */
  readonly isWhole: boolean;
}

export const script = (text: string, isWhole = false): Script => ({
  text,
  sha: createHash('sha1').update(text).digest('hex'),
  isWhole,
});

/** A script that can also be part of another one, which has more keys and arguments than this one's. */
export interface Part extends Script {
  readonly body: string;
}

/** In `body`, keys follow KEYS[k] and arguments ARGV[a]; ARGV[a + n] is the last one, and `at` is what TIME said. */
export const part = (body: string): Part => ({
  ...script(`local k, a, n, at = 0, 0, #ARGV, redis.call('TIME')\n${body}`),
  body,
});

/** The part as a function of another script, which says where its keys and arguments are. Copies of these would take longer. */
export const asFunction = (name: string, { body }: Part): string =>
  `local function ${name}(k, a, n, at)\n${body}\nend\n`;
