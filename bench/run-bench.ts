// The frame of every bench: a directory that is removed at the end, the end of all that was started, also after a signal, and the
// model server that the subjects call.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { freePort, loadCore, start, stopAll } from './processes.ts';

/** Runs the bench in a new directory, and ends this process. `stopMore`: what the bench started by other means. */
export async function runBench(
  directory: string,
  bench: () => Promise<void>,
  stopMore: () => Promise<unknown> = () => Promise.resolve(),
): Promise<never> {
  const leave = async (code: number): Promise<never> => {
    await stopAll();
    await stopMore();
    rmSync(directory, { recursive: true, force: true });
    process.exit(code);
  };
  process.once('SIGINT', () => void leave(130)).once('SIGTERM', () => void leave(143));
  try {
    mkdirSync(directory, { recursive: true });
    await bench();
  } catch (error) {
    process.stderr.write(`\nThe bench failed. ${(error as Error).stack}\n`);
    return leave(1);
  }
  return leave(0);
}

/** The model server, on the core of the load. Returns its port. */
export async function startUpstream(directory: string): Promise<number> {
  const port = await freePort();
  start({
    name: 'upstream',
    core: loadCore,
    command: [process.execPath, join(import.meta.dirname, 'upstream.ts'), String(port)],
    cwd: directory,
    env: {},
    logFile: join(directory, 'upstream.log'),
  });
  return port;
}
