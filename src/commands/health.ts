// `sekisho health`: whether the gateway with these settings responds, for health checks of containers and supervisors.
import { request as plain } from 'node:http';
import { request as encrypted } from 'node:https';
import type { Command } from 'commander';
import { type Config, loadConfig, tlsMode } from '../settings/config.ts';
import { print } from './command.ts';

/** The gateway does not respond, or reports that it is not healthy. */
export class Unhealthy extends Error {}

/** Asks the gate of these settings for a page; fails with Unhealthy if it does not answer. */
export type AskGate = (config: Config, path: '/healthz' | '/readyz') => Promise<{ status: number; text: string }>;

export function healthCommand(
  program: Command,
  environment: Readonly<Record<string, string | undefined>>,
  askGate: AskGate,
): void {
  program
    .command('health')
    .description('check the running gateway; needs the same settings, but no key')
    .option('--ready', 'also check that it reaches its store and a model server')
    .option('--json', 'print the answer as one JSON object')
    .action(async ({ ready, json }: { ready?: true; json?: true }) => {
      const config = loadConfig(environment);
      const answer = await askGate(config, ready === true ? '/readyz' : '/healthz');
      if (answer.status !== 200)
        throw new Unhealthy(`The gateway answered with status ${answer.status}: ${answer.text}`);
      print(json === true ? answer.text : 'The gateway is running.');
    });
}

/** An address that means every address of the machine is none that can be asked. */
const everywhere: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** Where this machine reaches the gate of these settings. */
export const hostToAsk = ({ host }: Pick<Config, 'host'>): string => everywhere[host] ?? host;

export const askGate: AskGate = (config, path) => {
  const host = hostToAsk(config);
  // The certificate names the gate's public name, not this address, and nothing secret is sent.
  const tls = tlsMode(config) !== 'off';
  const options = { host, port: config.port, path, timeout: 5_000, ...(tls ? { rejectUnauthorized: false } : {}) };
  return new Promise((resolve, reject) => {
    const asked = (tls ? encrypted : plain)(options, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString().slice(0, 1_000) }),
      );
    });
    asked.on('timeout', () => asked.destroy(new Error('it did not answer within 5 seconds')));
    asked.on('error', (error: NodeJS.ErrnoException) => {
      // It demands a client certificate (RFC 8446 §6.2), so it works as far as can be asked without one.
      if (error.code === 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED') resolve({ status: 200, text: '{"live":true}' });
      else reject(new Unhealthy(`The gateway cannot be reached at ${host}:${config.port}: ${error.message}`));
    });
    asked.end();
  });
};
