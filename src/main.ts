// The program: settings, a gate, and what signals do to it. It serves until it is told to stop.
import process from 'node:process';
import { type OpenGate, serve } from './compose/serve.ts';
import { StartFailed } from './compose/start.ts';
import { ListenFailed } from './listener/server.ts';
import { describeCause, type Log, openLog } from './observe/log.ts';
import { SecretUnusable } from './secret-file.ts';
import { type Config, ConfigErrors, loadConfig } from './settings/config.ts';
import { explained, StoreUnusable } from './store/unusable.ts';
import { PairUnusable } from './tls/pair.ts';
import { CredentialsUnusable } from './upstream/credentials.ts';

/**
 * A terminal sends Ctrl-C to every process of its group, and npm hands on to the gate what it gets itself: signals that come
 * within this time are one wish to stop, and not the second that ends everything at once.
 */
const oneWishMs = 1_000;

/** Serves until a signal, then drains; a second signal, a second later or more, ends it at once. */
export async function runGate(): Promise<void> {
  refuseLenientParser();
  const config = readSettings();
  const log = openLog(config.logLevel, config.logFormat);
  process.on('uncaughtException', (error) => {
    log.logger.fatal({ cause: describeCause(error) }, 'a fault of ours; the gate stops');
    void log.close().then(() => process.exit(1));
  });
  // Before the start: it can wait for a database that is held, and what signals do by themselves (end the process, open a
  // debugger) is as wrong then as later.
  const running: Running = {};
  followSignals(running, config, log);
  for (const warning of config.warnings) log.logger.warn(warning);
  let gate: OpenGate;
  try {
    gate = await serve(config, log);
  } catch (error) {
    leave(error);
  }
  running.gate = gate;
  void gate.over.then((reason) => {
    log.logger.fatal(reason);
    stop(running, 'lost', config, log);
  });
  log.logger.info({ url: gate.url, upstream: config.upstream.join(', '), dataDir: config.dataDir }, 'Sekisho is open');
  try {
    const setUp = await gate.setUpLink();
    if (setUp === undefined) log.logger.info('to let somebody in: npm run -s sekisho -- key create --name <who>');
    else log.logger.info(`to become its operator, open this once, within a day: ${setUp}`);
  } catch (error) {
    // The gateway serves without the link, and if it stops meanwhile, the link is not needed.
    if (running.stoppingSince === undefined)
      log.logger.error(
        { cause: describeCause(error) },
        'no link for an operator could be made; the next start makes one',
      );
  }
}

interface Running {
  /** Not there while it starts. */
  gate?: OpenGate;
  /** By performance.now(). */
  stoppingSince?: number;
}

/** Once. `cause`: the signal, or `lost`, where the gate cannot go on. */
function stop(running: Running, cause: string, config: Config, log: Log): void {
  const { logger } = log;
  const end = (code: number): void => void log.close().then(() => process.exit(code));
  if (running.stoppingSince !== undefined) return;
  running.stoppingSince = performance.now();
  if (!running.gate) {
    // No caller has been answered yet, and a start writes its files whole or not at all.
    logger.info({ signal: cause }, 'stopped before it was open');
    end(0);
    return;
  }
  logger.info({ signal: cause, drainSeconds: config.drainSeconds }, 'stopping; running answers may finish');
  running.gate.stop().then(
    () => {
      logger.info('stopped');
      end(cause === 'lost' ? 1 : 0);
    },
    (error: unknown) => {
      logger.error({ cause: describeCause(error) }, 'stopped, but not everything could be written');
      end(1);
    },
  );
}

function followSignals(running: Running, config: Config, log: Log): void {
  const { logger } = log;
  const onSignal = (signal: string): void => {
    if (running.stoppingSince !== undefined) {
      if (performance.now() - running.stoppingSince >= oneWishMs) process.exit(1);
      return;
    }
    stop(running, signal, config, log);
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  // A start reads the files by itself.
  process.on('SIGHUP', () => running.gate?.reload());
  // Node's answer to this one is to open a debugger, through which anybody who may send signals could read every key.
  process.on('SIGUSR1', () => logger.warn('SIGUSR1 means nothing here; no debugger is opened'));
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

/** What an operator can mend is said in one sentence; anything else keeps its stack, after the step of the start that met it. */
function leave(error: unknown): never {
  const cause = error instanceof StartFailed ? error.cause : error;
  const known = [ConfigErrors, StoreUnusable, SecretUnusable, ListenFailed, PairUnusable, CredentialsUnusable].some(
    (kind) => cause instanceof kind,
  );
  const step = error instanceof StartFailed ? `The start failed at its step "${error.step}": ` : '';
  process.stderr.write(
    `${known ? (cause as Error).message : (explained(cause)?.message ?? `${step}${describeCause(cause)}`)}\n`,
  );
  process.exit(1);
}

if (import.meta.main) await runGate();
