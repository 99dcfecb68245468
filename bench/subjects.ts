// The compared subjects: how each is started in front of the upstream, and how it is called. Every gate gets the settings
// that its makers would choose for speed; Sekisho gets its defaults, and as many slots as the upstream has.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { launchGate, seededGate } from './gate.ts';
import type { Launched, Place } from './launch.ts';
import type { Dialect } from './load.ts';
import { freePort, type Started, start, subjectCore } from './processes.ts';

export interface Subject {
  readonly name: string;
  readonly dialect: Dialect;
  /** Request headers besides x-api-key, as `name: value`. */
  readonly headers: (upstreamPort: number) => readonly string[];
  /** Whether it refuses a caller without a key. */
  readonly checksKey: boolean;
  /** Whether it is measured with streams as well. */
  readonly streams: boolean;
  readonly launch: (place: Place) => Promise<Launched>;
}

const benchDirectory = import.meta.dirname;
export const peersDirectory = join(benchDirectory, 'peers');
/** The same key stands in peers/article.js, which keeps its keys in its source. */
const staticKey = 'bench-key-0123456789abcdef0123456789abcdef';

const plain = { dialect: 'ollama', headers: () => [], checksKey: true, streams: true } as const;

export const subjects: readonly Subject[] = [
  { ...plain, name: 'direct', checksKey: false, launch: launchDirect },
  { ...plain, name: 'nginx', launch: launchNginx },
  { ...plain, name: 'article', launch: launchArticle },
  {
    ...plain,
    name: 'portkey',
    dialect: 'openai',
    headers: (upstreamPort) => [
      `authorization: Bearer ${staticKey}`,
      'x-portkey-provider: openai',
      `x-portkey-custom-host: http://127.0.0.1:${upstreamPort}/v1`,
    ],
    checksKey: false,
    launch: launchPortkey,
  },
  { ...plain, name: 'sekisho', launch: (place) => launchGate('sekisho', place, true) },
  { ...plain, name: 'sekisho-open', launch: (place) => launchGate('sekisho-open', place, false) },
  { ...plain, name: 'sekisho-1k', streams: false, launch: seededGate({ stored: 1_000, used: 1_000 }) },
  { ...plain, name: 'sekisho-1m', streams: false, launch: seededGate({ stored: 1_000_000, used: 1_000 }) },
  { ...plain, name: 'sekisho-1m-cold', streams: false, launch: seededGate({ stored: 1_000_000, used: 50_000 }) },
];

/** The gate of another checkout, with its own sources and packages; `directory` is where its package.json is. */
export const otherGate = (directory: string): Subject => ({
  ...plain,
  name: 'other',
  launch: (place) => launchGate('other', place, true, join(directory, 'src')),
});

/** Only on request: it measures something else, the cost of a call whose key is never in memory. */
export const optional: readonly string[] = ['sekisho-1m-cold'];

function launchDirect({ upstreamPort }: Place): Promise<Launched> {
  return Promise.resolve({ port: upstreamPort, process: undefined, keys: [staticKey] });
}

async function launchNginx({ directory, upstreamPort }: Place): Promise<Launched> {
  const port = await freePort();
  const file = join(directory, 'nginx.conf');
  mkdirSync(join(directory, 'temp'));
  writeFileSync(file, nginxSettings(port, upstreamPort));
  const command = ['nginx', '-p', directory, '-c', file, '-e', 'stderr'];
  return { port, process: startOnSubjectCore('nginx', directory, command), keys: [staticKey] };
}

/** One worker, a key table, no buffering of answers, connections kept on both sides, no log. */
function nginxSettings(port: number, upstreamPort: number): string {
  return `
daemon off;
worker_processes 1;
pid nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path temp/body;
  proxy_temp_path temp/proxy;
  fastcgi_temp_path temp/fastcgi;
  uwsgi_temp_path temp/uwsgi;
  scgi_temp_path temp/scgi;
  map $http_x_api_key $known { default 0; "${staticKey}" 1; }
  upstream models { server 127.0.0.1:${upstreamPort}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    keepalive_requests 1000000000;
    location / {
      if ($known = 0) { return 401 '{"error":"Invalid API key"}'; }
      proxy_pass http://models;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`;
}

async function launchArticle({ directory, upstreamPort }: Place): Promise<Launched> {
  const port = await freePort();
  const command = [
    process.execPath,
    join(peersDirectory, 'article.js'),
    String(port),
    `http://127.0.0.1:${upstreamPort}`,
  ];
  return { port, process: startOnSubjectCore('article', directory, command), keys: [staticKey] };
}

async function launchPortkey({ directory }: Place): Promise<Launched> {
  const port = await freePort();
  const program = join(peersDirectory, 'node_modules/@portkey-ai/gateway/build/start-server.js');
  const command = [process.execPath, program, `--port=${port}`, '--headless'];
  return { port, process: startOnSubjectCore('portkey', directory, command), keys: [staticKey] };
}

function startOnSubjectCore(name: string, directory: string, command: readonly string[]): Started {
  return start({ name, core: subjectCore, command, cwd: directory, env: {}, logFile: join(directory, `${name}.log`) });
}
