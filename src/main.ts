// The program: settings, a gate, and what signals do to it. It serves until it is told to stop.
import process from 'node:process';
import { type OpenGate, serve } from './compose.ts';
import { type Config, ConfigFaults, loadConfig } from './config.ts';
import { describeCause, openLog } from './observe/log.ts';
import { SecretUnusable } from './secret-file.ts';
import { Unlistened } from './server.ts';
import { explained, StoreUnusable } from './store/data-directory.ts';
import { PairUnusable } from './tls/pair.ts';
import { PassUnusable } from './upstream/pass.ts';

/** Serves until a signal, then drains; a second signal ends it at once. */
export async function runGate(): Promise<void> {
  refuseLenientParser();
  const config = readSettings();
  const log = openLog(config.logLevel, config.logFormat);
  for (const warning of config.warnings) log.logger.warn(warning);
  process.on('uncaughtException', (error) => {
    log.logger.fatal({ cause: describeCause(error) }, 'a fault of ours; the gate stops');
    void log.close().then(() => process.exit(1));
  });
  let gate: OpenGate;
  try {
    gate = await serve(config, log);
  } catch (error) {
    leave(error);
  }
  log.logger.info({ url: gate.url, upstream: config.upstream.join(', '), dataDir: config.dataDir }, 'Sekisho is open');
  const setUp = await gate.setUpLink();
  if (setUp === undefined) log.logger.info('to let somebody in: npm run -s sekisho -- key create --name <who>');
  else log.logger.info(`to become its operator, open this once, within a day: ${setUp}`);
  let stopping = false;
  const onSignal = (signal: string): void => {
    if (stopping) process.exit(1);
    stopping = true;
    log.logger.info({ signal, drainSeconds: config.drainSeconds }, 'stopping; running answers may finish');
    gate.stop().then(
      () => {
        log.logger.info('stopped');
        void log.close().then(() => process.exit(0));
      },
      (error: unknown) => {
        log.logger.error({ cause: describeCause(error) }, 'stopped, but not everything could be written');
        void log.close().then(() => process.exit(1));
      },
    );
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  process.on('SIGHUP', () => gate.reload());
  // Node's answer to this one is to open a debugger, through which whoever may send signals could read every key.
  process.on('SIGUSR1', () => log.logger.warn('SIGUSR1 means nothing here; no debugger is opened'));
}

/** Node's lenient HTTP parser lets requests through that two servers read in two ways (security HTTP-15). */
function refuseLenientParser(): void {
  if (!`${process.execArgv.join(' ')} ${process.env['NODE_OPTIONS'] ?? ''}`.includes('--insecure-http-parser')) return;
  process.stderr.write('--insecure-http-parser lets requests be smuggled past the gate; start Node without it.\n');
  process.exit(1);
}

function readSettings(): Config {
  try {
    return loadConfig(process.env);
  } catch (error) {
    leave(error);
  }
}

/** What an operator can mend is said in one sentence; anything else keeps its stack. */
function leave(error: unknown): never {
  const known = [ConfigFaults, StoreUnusable, SecretUnusable, Unlistened, PairUnusable, PassUnusable].some(
    (kind) => error instanceof kind,
  );
  process.stderr.write(`${known ? (error as Error).message : (explained(error)?.message ?? describeCause(error))}\n`);
  process.exit(1);
}

if (import.meta.main) await runGate();
