// Asks for confirmation before an action that cannot be undone: on a terminal with a question, elsewhere by requiring `--yes`.
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { Refusal } from '../domain/refusal.ts';

export interface Sure {
  readonly yes?: boolean;
}

export const yesOption = ['--yes', 'do not ask for confirmation; required without a terminal'] as const;

/** Resolves if the action is confirmed. `action`: what would happen, as a sentence. @throws Refusal */
export async function confirm(action: string, { yes }: Sure): Promise<void> {
  if (yes === true) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new Refusal(`${action} This cannot be undone. Add --yes to confirm.`);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`${action} This cannot be undone. Continue? [y/N] `);
    if (!/^\s*(?:y|yes)\s*$/i.test(answer)) throw new Refusal('Nothing was changed.', 'conflict');
  } finally {
    asking.close();
  }
}
