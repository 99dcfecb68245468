// A gate as a process of its own that sends its heartbeats many times a second. Started by spawnGate in place of src/main.ts.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import './quick-passwords.ts';
import { inMemory } from '../src/compose/adapters.ts';
import { serve } from '../src/compose/serve.ts';
import { openLog } from '../src/observe/log.ts';
import { loadConfig } from '../src/settings/config.ts';
import { usualBeats } from '../src/store/postgres/heartbeat.ts';
import { temporaryDirectory } from './gate.ts';

/** Gates hear of each other soon, and count on each other for as long as usual, so that none is given up on a busy machine. */
export const quickBeats = { lifeMs: usualBeats.lifeMs, renewMs: 300 };
/** The periodic work passes on soon once its lease is over, which a test makes so. */
export const quickLives = { lifeMs: 30_000, renewMs: 200 };
/** For gates with a Redis that does not hang. */
export const patient = { ...inMemory, beats: quickBeats, answerMs: 5_000 };
/** The environment of a gate that is given up soon. */
export const givenUpSoon = { LIFE_MS: '1500' };

/** A data directory with the secret that all gates of a database have. */
export function sharingSecret(): { readonly DATA_DIR: string } {
  const DATA_DIR = temporaryDirectory();
  writeFileSync(join(DATA_DIR, 'cookie.secret'), 'the-secret-of-all-gates-of-this-database', { mode: 0o600 });
  return { DATA_DIR };
}

if (process.argv[1] === import.meta.filename) {
  const log = openLog('debug', 'json');
  const shares = process.env['SHARES'] === 'on';
  const lifeMs = Number(process.env['LIFE_MS'] ?? quickBeats.lifeMs);
  const answerMs = Number(process.env['ANSWER_MS'] ?? patient.answerMs);
  const adapters = { ...inMemory, shares, beats: { ...quickBeats, lifeMs }, answerMs, upkeepLives: quickLives };
  const gate = await serve(loadConfig(process.env), log, undefined, adapters);
  log.logger.info({ url: gate.url }, 'the gate is open');
  process.once('SIGTERM', () => void gate.stop().then(() => process.exit(0)));
  void gate.over.then((sentence) => {
    log.logger.error(sentence);
    void log.close().then(() => process.exit(5));
  });
}
