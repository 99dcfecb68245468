// Starts the gate on Deno with only the permissions that its settings require: the address it listens on, its model servers,
// its mail server and sign-in provider, its data directory, and the one native module. `--print` shows the command instead
// of running it.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { loadConfig } from '../src/settings/config.ts';

const config = loadConfig(process.env);
const root = join(import.meta.dirname, '..');
const { smtpUrl, oidcIssuer } = config.live.now;
const addresses = [...config.upstream, smtpUrl, oidcIssuer, config.databaseUrl].filter((address) => address !== '');
// A provider whose token endpoint is on another host than its issuer needs that one added by hand.
const hosts = [config.host, ...addresses.map((address) => new URL(address).host)];
// The gate uses the real path of its data directory, which may be a link.
const dataDirs = [config.dataDir, ...(existsSync(config.dataDir) ? [realpathSync(config.dataDir)] : [])];
const files = [
  ...dataDirs,
  ...[config.apiKeysFile, config.serverFiles, config.serverSecretKey].filter((path) => path !== ''),
  dirname(process.env['SEKISHO_CONFIG'] ?? './sekisho.yaml'),
];
const flags = [
  '--no-prompt',
  '--node-modules-dir=manual',
  `--allow-net=${[...new Set(hosts)].join(',')}`,
  `--allow-read=${[root, ...new Set(files)].join(',')}`,
  `--allow-write=${[...new Set(dataDirs)].join(',')}`,
  // The gate looks for unknown SEKISHO_ settings, so it reads the whole environment.
  '--allow-env',
  `--allow-ffi=${join(root, 'node_modules/better-sqlite3')}`,
  // The logger asks for the host name; the SQLite module learns from a report which C library this machine has.
  '--allow-sys=hostname,cpus,networkInterfaces,osUptime',
];
const words = ['run', ...flags, join(root, 'src/main.ts')];
if (process.argv.includes('--print')) process.stdout.write(`deno ${words.join(' ')}\n`);
else {
  const deno = spawn(join(root, 'scripts/deno/node_modules/.bin/deno'), words, { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => deno.kill(signal));
  deno.on('exit', (code) => process.exit(code ?? 1));
}
