// The process: loads the settings, starts the gateway, and handles signals until it is told to stop.
import process from 'node:process';
import { type OpenGate, serve } from './compose/serve.ts';
import { StartFailed } from './compose/start.ts';
import { ListenFailed, within } from './listener/server.ts';
import { describeCause, type Log, openLog } from './observe/log.ts';
import { collectYoungAlone, releaseStartMemory, startPlainly } from './observe/start-memory.ts';
import { SecretUnusable } from './secret-file.ts';
import { type Config, ConfigErrors, loadConfig } from './settings/config.ts';
import { explained, StoreUnusable } from './store/unusable.ts';
import { PairUnusable } from './tls/pair.ts';
import { CredentialsUnusable } from './upstream/credentials.ts';

/**
 * A terminal sends Ctrl-C to every process of its group, and npm forwards to the gateway what it receives itself. Signals
 * within this time therefore count as one request to stop, not as the second signal that ends everything immediately.
 */
const oneWishMs = 1_000;

const lookAtParentMs = 250;
/** How long what a start has opened may take to close; a connection that is being made to nowhere takes longer. */
const abandonMs = 3_000;

/** Serves until a signal, then drains; a second signal, at least a second later, ends it immediately. */
export async function runGate(): Promise<void> {
  collectYoungAlone();
  const optimize = startPlainly();
  refuseLenientParser();
  const config = readSettings();
  const log = openLog(config.logLevel, config.logFormat);
  process.on('uncaughtException', (error) => {
    log.logger.fatal({ cause: describeCause(error) }, 'internal error; the gateway stops');
    void log.close().then(() => process.exit(1));
  });
  // Before the start, because the start can wait for a locked database, and the default actions of signals (ending the
  // process, opening a debugger) are wrong during that time, too.
  const running: Running = { abandoned: new AbortController() };
  followSignals(running, config, log);
  followNpx(() => stop(running, 'the end of npx', config, log));
  for (const warning of config.warnings) log.logger.warn(warning);
  running.start = serve(config, log, undefined, undefined, running.abandoned.signal);
  let gate: OpenGate;
  try {
    gate = await running.start;
  } catch (error) {
    if (running.stoppingSince !== undefined) return;
    leave(error);
  }
  if (running.stoppingSince !== undefined) return;
  running.gate = gate;
  releaseStartMemory();
  optimize();
  void gate.over.then((reason) => {
    log.logger.fatal(reason);
    stop(running, 'lost', config, log);
  });
  log.logger.info(
    { url: gate.url, upstream: config.upstream.join(', '), dataDir: config.dataDir },
    'Sekisho is running',
  );
  try {
    const setUp = await gate.setUpLink();
    if (setUp === undefined) log.logger.info('to create a key: npm run -s sekisho -- key create --name <name>');
    else log.logger.info(`to become the operator, open this one-time link within a day: ${setUp}`);
  } catch (error) {
    // The gateway serves without the link, and if it stops meanwhile, the link is not needed.
    if (running.stoppingSince === undefined)
      log.logger.error(
        { cause: describeCause(error) },
        'the link for the operator could not be created; the next start creates one',
      );
  }
}

interface Running {
  /** Ends the start. */
  readonly abandoned: AbortController;
  start?: Promise<OpenGate>;
  /** Undefined during the start. */
  gate?: OpenGate;
  /** By performance.now(). */
  stoppingSince?: number;
}

/** Stops the gateway, once. `cause`: the signal, or `lost` if the gateway cannot continue. */
function stop(running: Running, cause: string, config: Config, log: Log): void {
  const { logger } = log;
  const end = (code: number): void => void log.close().then(() => process.exit(code));
  if (running.stoppingSince !== undefined) return;
  running.stoppingSince = performance.now();
  if (!running.gate) {
    // No caller has been answered yet, and the start writes its files completely or not at all. Its place among gateways is given back.
    logger.info({ signal: cause }, 'stopped during the start');
    running.abandoned.abort();
    const closed = running.start?.then((gate) => gate.stop()).catch(() => undefined);
    void within(abandonMs, closed ?? Promise.resolve()).then(() => end(0));
    return;
  }
  logger.info({ signal: cause, drainSeconds: config.drainSeconds }, 'stopping; running answers may finish');
  running.gate.stop().then(
    () => {
      logger.info('stopped');
      end(cause === 'lost' ? 1 : 0);
    },
    (error: unknown) => {
      logger.error({ cause: describeCause(error) }, 'stopped, but some data could not be written');
      end(1);
    },
  );
}

/**
 * npx runs a command in a shell, and passes the signals that it gets to that shell alone, which ends without passing them on. So if the
 * shell has ended, somebody has told npx to stop.
 */
function followNpx(end: () => void): void {
  if (process.env['npm_lifecycle_event'] !== 'npx') return;
  const shell = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(timer);
    end();
  }, lookAtParentMs).unref();
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
  // The start reads the files anyway.
  process.on('SIGHUP', () => running.gate?.reload());
  // By default Node opens a debugger, through which anyone who may send signals could read every key.
  process.on('SIGUSR1', () => logger.warn('ignored SIGUSR1; no debugger is opened'));
}

/** Node's lenient HTTP parser accepts requests that two servers interpret differently (security HTTP-15). */
function refuseLenientParser(): void {
  if (!`${process.execArgv.join(' ')} ${process.env['NODE_OPTIONS'] ?? ''}`.includes('--insecure-http-parser')) return;
  process.stderr.write('--insecure-http-parser lets requests be smuggled past the gateway; start Node without it.\n');
  process.exit(1);
}

function readSettings(): Config {
  try {
    return loadConfig(process.env);
  } catch (error) {
    leave(error);
  }
}

/** One sentence for what an operator can fix; a stack for anything else, after the step of the start that failed. */
function leave(error: unknown): never {
  const cause = error instanceof StartFailed ? error.cause : error;
  const known = [ConfigErrors, StoreUnusable, SecretUnusable, ListenFailed, PairUnusable, CredentialsUnusable].some(
    (kind) => cause instanceof kind,
  );
  const step = error instanceof StartFailed ? `The start failed at the step "${error.step}": ` : '';
  process.stderr.write(
    `${known ? (cause as Error).message : (explained(cause)?.message ?? `${step}${describeCause(cause)}`)}\n`,
  );
  process.exit(1);
}

if (import.meta.main) void runGate();
