// Asks before something that cannot be undone. On a terminal, a person answers; elsewhere, `--yes` has to be given.
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { Refusal } from '../domain/refusal.ts';

export interface Sure {
  readonly yes?: boolean;
}

export const yesOption = ['--yes', 'do not ask; needed where there is no terminal'] as const;

/** Resolves if it may go on. `action`: what would happen, as a sentence. @throws Refusal */
export async function confirm(action: string, { yes }: Sure): Promise<void> {
  if (yes === true) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new Refusal(`${action} This cannot be undone. Add --yes to do it without being asked.`);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`${action} This cannot be undone. Go on? [y/N] `);
    if (!/^\s*(?:y|yes)\s*$/i.test(answer)) throw new Refusal('Nothing was changed.', 'conflict');
  } finally {
    asking.close();
  }
}
