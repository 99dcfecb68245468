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

/** The script as a function of another one, which gives it its keys and arguments. */
export const asFunction = (name: string, { text }: Script): string =>
  `local function ${name}(KEYS, ARGV)\n${text}\nend\n`;
