// A gate as a process of its own that sends its heartbeats many times a second, so that a test can freeze it for longer than they
// last. Started by spawnGate in place of src/main.ts.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import './quick-passwords.ts';
import { inMemory } from '../src/compose/adapters.ts';
import { serve } from '../src/compose/serve.ts';
import { openLog } from '../src/observe/log.ts';
import { loadConfig } from '../src/settings/config.ts';
import { temporaryDirectory } from './gate.ts';

export const quickBeats = { lifeMs: 1_500, renewMs: 300 };
export const quickLives = { lifeMs: 1_000, renewMs: 200 };

/** A data directory with the secret that all gates of a database have. */
export function sharingSecret(): { readonly DATA_DIR: string } {
  const DATA_DIR = temporaryDirectory();
  writeFileSync(join(DATA_DIR, 'cookie.secret'), 'the-secret-of-all-gates-of-this-database', { mode: 0o600 });
  return { DATA_DIR };
}

if (process.argv[1] === import.meta.filename) {
  const log = openLog('debug', 'json');
  const shares = process.env['SHARES'] === 'on';
  const adapters = { ...inMemory, shares, beats: quickBeats, upkeepLives: quickLives };
  const gate = await serve(loadConfig(process.env), log, undefined, adapters);
  log.logger.info({ url: gate.url }, 'the gate is open');
  process.once('SIGTERM', () => void gate.stop().then(() => process.exit(0)));
  void gate.over.then((sentence) => {
    log.logger.error(sentence);
    void log.close().then(() => process.exit(5));
  });
}
