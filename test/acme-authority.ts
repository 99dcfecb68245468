// Debian's pebble, an ACME authority for tests, with a name server beside it that resolves every name to this machine. It
// can be told to be difficult.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { makeAuthority, makeCertificate } from './certificates.ts';
import { freePorts } from './free-ports.ts';
import { eventually, temporaryDirectory } from './gate.ts';

export interface AcmeAuthority {
  readonly directory: string;
  /** PEM file of the root that signs its own server certificate. */
  readonly ca: string;
  /** The ports where it validates HTTP-01 and TLS-ALPN-01. */
  readonly httpPort: number;
  readonly tlsPort: number;
  output(): string;
  /** Stops it, or starts it again with an empty memory. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface AcmeHabits {
  /** How many of a hundred nonces are refused. */
  readonly refusedNonces?: number;
  /** Seconds that a validation takes, at most. */
  readonly slowSeconds?: number;
  /** Lifetime of a certificate in seconds. */
  readonly validSeconds?: number;
}

export async function startAuthority(habits: AcmeHabits = {}): Promise<AcmeAuthority> {
  const place = temporaryDirectory();
  const root = makeAuthority(place, 'Root of the authority');
  const own = makeCertificate(place, ['DNS:localhost', 'IP:127.0.0.1'], { authority: root });
  const [port, management, httpPort, tlsPort, names, namesManagement] = await freePorts(6);
  const config = join(place, 'pebble.json');
  writeFileSync(
    config,
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: own.cert,
        privateKey: own.key,
        httpPort,
        tlsPort,
        ocspResponderURL: '',
        externalAccountBindingRequired: false,
        retryAfter: { authz: 1, order: 1 },
        certificateValidityPeriod: habits.validSeconds ?? 90 * 86_400,
      },
    }),
  );
  const words = ['-defaultIPv6', '', '-defaultIPv4', '127.0.0.1', '-dns01', `127.0.0.1:${names}`, '-http01', ''];
  const more = ['-https01', '', '-tlsalpn01', '', '-management', `127.0.0.1:${namesManagement}`];
  const nameServer = spawn('pebble-challtestsrv', [...words, ...more], { stdio: 'ignore' });
  let said = '';
  let authority: ChildProcess;
  const restart = async (): Promise<void> => {
    authority = spawn('pebble', ['-config', config, '-dnsserver', `127.0.0.1:${names}`], {
      env: {
        ...process.env,
        PEBBLE_WFE_NONCEREJECT: String(habits.refusedNonces ?? 0),
        ...(habits.slowSeconds === undefined
          ? { PEBBLE_VA_NOSLEEP: '1' }
          : { PEBBLE_VA_SLEEPTIME: String(habits.slowSeconds) }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    authority.stdout?.on('data', (text: Buffer) => (said += text.toString()));
    authority.stderr?.on('data', (text: Buffer) => (said += text.toString()));
    await eventually(() => {
      if (!said.includes('ACME directory available')) throw new Error(`pebble does not come up: ${said}`);
    });
  };
  const kill = async (): Promise<void> => {
    if (authority.exitCode !== null || authority.signalCode !== null) return;
    authority.kill('SIGKILL');
    await once(authority, 'exit');
    said = '';
  };
  await restart();
  return {
    directory: `https://127.0.0.1:${port}/dir`,
    ca: root.cert,
    httpPort: httpPort as number,
    tlsPort: tlsPort as number,
    output: () => said,
    kill,
    restart,
    stop: async () => {
      await kill();
      nameServer.kill('SIGKILL');
      await once(nameServer, 'exit');
    },
  };
}
