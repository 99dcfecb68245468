// The attacks: each runs one or more programs at the lowest priority, because it shares two cores with the gate that it
// attacks, from this machine and only against this machine, and ends by itself after a given time.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { cpuUs, treeOf } from '../processes.ts';

export interface Aim {
  readonly port: number;
  /** A working key that may be used in a URL: the attacker is a member of the gate. */
  readonly secret: string;
  /** A file with well-formed keys that do not exist, one per line. */
  readonly keysFile: string;
}

export interface Attack {
  readonly name: string;
  /** The number of connections that it holds, if it attacks by holding them. */
  readonly holds?: number;
  /** How long it takes to reach its full strength. */
  readonly rampSeconds: number;
  readonly commands: (aim: Aim, seconds: number) => readonly (readonly string[])[];
  readonly environment?: (aim: Aim) => Record<string, string>;
}

const directory = import.meta.dirname;
/** slowhttptest with 1,000 connections, 500 new ones a second. */
const slow = (seconds: number, options: string, url: string): string[] =>
  `slowhttptest -c 1000 -r 500 -l ${seconds} -p 5 -v 0 ${options} -u ${url}`.split(' ');
const hold = ({ port }: Aim, seconds: number, habit: 'idle' | 'silent'): string[][] => [
  [process.execPath, join(directory, 'hold.ts'), String(port), '10000', String(seconds), habit],
];

export const slowHeads: Attack = {
  name: '1,000 slow heads (slowhttptest -H)',
  holds: 1_000,
  rampSeconds: 3,
  commands: ({ port }, seconds) => [slow(seconds, '-H -i 2 -x 24', `http://127.0.0.1:${port}/`)],
};

export const slowBodies: Attack = {
  name: '1,000 slow bodies with a valid key (slowhttptest -B)',
  holds: 1_000,
  rampSeconds: 3,
  commands: ({ port, secret }, seconds) => [
    slow(seconds, '-B -i 2 -x 24 -s 8192 -f application/json', `http://127.0.0.1:${port}/k/${secret}/api/chat`),
  ],
};

export const slowReaders: Attack = {
  name: '1,000 slow readers of 200 kB (slowhttptest -X)',
  holds: 1_000,
  rampSeconds: 3,
  commands: ({ port }, seconds) => [
    slow(seconds, '-X -k 3 -n 2 -z 64 -w 256 -y 1024', `http://127.0.0.1:${port}/management/v1/openapi.json`),
  ],
};

export const idleConnections: Attack = {
  name: '10,000 idle kept-alive connections',
  holds: 10_000,
  rampSeconds: 8,
  commands: (aim, seconds) => hold(aim, seconds, 'idle'),
};

export const silentConnections: Attack = {
  name: '10,000 silent connections',
  holds: 10_000,
  rampSeconds: 8,
  commands: (aim, seconds) => hold(aim, seconds, 'silent'),
};

export const wrongKeys: Attack = {
  name: 'a flood of wrong keys (wrk, 50 connections)',
  rampSeconds: 1,
  commands: ({ port }, seconds) => [
    [...`wrk -t 1 -c 50 -d ${seconds}s http://127.0.0.1:${port} -s`.split(' '), join(directory, 'wrong-keys.lua')],
  ],
  environment: ({ keysFile }) => ({ KEYS_FILE: keysFile }),
};

export const handshakes: Attack = {
  name: 'a flood of TLS handshakes (4 × openssl s_time -new)',
  rampSeconds: 1,
  commands: ({ port }, seconds) =>
    Array.from({ length: 4 }, () => `openssl s_time -connect 127.0.0.1:${port} -new -time ${seconds}`.split(' ')),
};

/** A running attack. A program that ends because the gate has closed everything it held is started again. */
export class Onslaught {
  readonly #children = new Set<ChildProcess>();
  readonly #cpuUs = new Map<number, number>();
  readonly #kill = (): void => {
    for (const child of this.#children) child.kill('SIGKILL');
  };
  #stopped = false;

  constructor(attack: Attack, aim: Aim, seconds: number) {
    process.once('exit', this.#kill);
    for (const command of attack.commands(aim, seconds)) this.#start(command, attack.environment?.(aim) ?? {});
  }

  /**
   * CPU time of everything that attacks, in microseconds. A program that ends takes with it what it used since the last
   * call.
   */
  cpuUs(): number {
    for (const { pid } of this.#children)
      if (pid !== undefined) this.#cpuUs.set(pid, Math.max(cpuUs(treeOf(pid)), this.#cpuUs.get(pid) ?? 0));
    return [...this.#cpuUs.values()].reduce((sum, us) => sum + us, 0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const ended = [...this.#children].map((child) => once(child, 'exit'));
    this.#kill();
    await Promise.all(ended);
    process.off('exit', this.#kill);
  }

  #start(command: readonly string[], environment: Readonly<Record<string, string>>): void {
    // So many connections need as many descriptors; if a shell may not raise the limit, the hard limit has to do.
    const script = 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec nice -n 19 "$0" "$@"';
    const child = spawn('sh', ['-c', script, ...command], {
      env: { PATH: process.env['PATH'], ...environment },
      stdio: 'ignore',
    });
    this.#children.add(child);
    child.once('exit', () => {
      this.#children.delete(child);
      setTimeout(() => {
        if (!this.#stopped) this.#start(command, environment);
      }, restartMs).unref();
    });
  }
}

const restartMs = 200;
