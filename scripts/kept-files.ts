// Files of the build before, for a gateway that runs it while somebody builds: some of them it loads later.
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Names the files of one build, without those that it keeps of another. */
const list = '.files';

/** Adds those of `before` whose names change with what they contain. Of the builds before that, nothing stays. */
export function keepFiles(before: string, made: string): void {
  const names = readdirSync(made);
  writeFileSync(join(made, list), names.join('\n'));
  if (!existsSync(join(before, list))) return;
  for (const name of readFileSync(join(before, list), 'utf8').split('\n'))
    if (/-[\w-]{8}\.js$/.test(name) && !names.includes(name)) cpSync(join(before, name), join(made, name));
}
