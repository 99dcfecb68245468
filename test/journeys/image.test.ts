// The container image, without a container engine: the root file system that the Containerfile assembles, on a base with
// nothing but a C library, started with its entry point as its user, read-only but for /data and /tmp.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { freePort } from '../free-ports.ts';
import { type GateProcess, post, root, run, spawnGate, temporaryDirectory } from '../gate.ts';

const work = temporaryDirectory();
const image = join(work, 'image');
const containerfile = readFileSync(join(root, 'Containerfile'), 'utf8');
const final = containerfile.slice(containerfile.lastIndexOf('\nFROM '));
const instruction = (name: string): string => new RegExp(`^${name} (.+)$`, 'm').exec(final)?.[1] ?? '';
const list = (name: string): string[] => JSON.parse(instruction(name)) as string[];
const environment = Object.fromEntries(
  instruction('ENV')
    .split(' ')
    .map((pair) => pair.split('=') as [string, string]),
);
let fake: FakeOllama;
let gate: GateProcess | undefined;

beforeAll(async () => {
  fake = await startFakeOllama();
  await assemble();
  addBase();
  writeFileSync(join(work, 'assembled'), '');
}, 300_000);

afterAll(async () => {
  gate?.process.kill('SIGKILL');
  await fake.close();
  rmSync(work, { recursive: true, force: true });
});

test('it is at most 200 MB, with the program, its pages and no development package', () => {
  // The base (distroless cc-debian13) has 24 MB.
  expect(bytesIn(image)).toBeLessThan((200 - 24) * 1e6);
  const packages = readdirSync(join(image, 'app/node_modules'));
  expect(packages).toContain('better-sqlite3');
  for (const name of ['typescript', 'vitest', 'react-dom', 'node']) expect(packages).not.toContain(name);
  expect(readdirSync(join(image, 'app')).toSorted()).toEqual([
    'LICENSE',
    'README.ja.md',
    'README.md',
    'dist',
    'node_modules',
    'package.json',
    'portal',
  ]);
});

test('it serves as its user on a read-only root, is healthy, and stops in order', async () => {
  const port = String(await freePort());
  const settings = { PORT: port, HOST: environment['HOST'] ?? '', UPSTREAM: fake.url };
  gate = await spawnGate({ ...settings, DATA_DIR: '/data' }, inside([...list('ENTRYPOINT'), ...list('CMD')]));
  const command = async (words: readonly string[]): ReturnType<typeof run> =>
    run('env', [
      '-i',
      `PATH=/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin`,
      'DATA_DIR=/data',
      `PORT=${port}`,
      ...inside(words),
    ]);
  const healthy = /CMD (\[.+\])$/m.exec(instruction('HEALTHCHECK'))?.[1] ?? '';
  expect(await command(JSON.parse(healthy) as string[])).toMatchObject({ code: 0, out: 'The gateway is running.\n' });
  expect(await (await fetch(`http://127.0.0.1:${port}/portal/`)).text()).toContain('<div id="root">');

  const made = await command([
    '/usr/local/bin/sekisho',
    'key',
    'create',
    '--name',
    'laptop',
    '--account',
    'alice',
    '--json',
  ]);
  const { secret } = JSON.parse(made.out) as { secret: string };
  const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }], stream: false };
  const answer = await post(`http://127.0.0.1:${port}/api/chat`, secret, chat);
  expect(await answer.json()).toMatchObject({ done: true });

  const status = readFileSync(`/proc/${gate.process.pid}/status`, 'utf8');
  expect(status).toMatch(/^Uid:\t65532\t65532\t65532\t65532$/m);
  const written = execFileSync('find', [image, '-newer', join(work, 'assembled'), '-type', 'f'], { encoding: 'utf8' });
  expect(written.split('\n').filter((name) => name !== '' && !name.startsWith(join(image, 'data')))).toEqual([]);

  gate.process.kill(instruction('STOPSIGNAL') as NodeJS.Signals);
  expect(await gate.ended).toBe(0);
  expect(await command(JSON.parse(healthy) as string[])).toMatchObject({ code: 7 });
});

test('compose.yaml starts the gate and a model server that only the gate reaches', () => {
  const { services, volumes } = parse(readFileSync(join(root, 'compose.yaml'), 'utf8')) as {
    services: Record<'gate' | 'ollama', Record<string, unknown>>;
    volumes: object;
  };
  expect(services.gate).toMatchObject({
    build: { dockerfile: 'Containerfile' },
    environment: { UPSTREAM: 'http://ollama:11434' },
    ports: [`127.0.0.1:${instruction('EXPOSE')}:${environment['PORT']}`],
    volumes: [`data:${instruction('VOLUME')}`],
    read_only: true,
    cap_drop: ['ALL'],
  });
  expect(services.ollama).not.toHaveProperty('ports');
  expect(Object.keys(volumes)).toEqual(['data', 'models']);
});

/** What the stage `build` of the Containerfile does, with the pages that `npm test` has built and packages that npm has cached. */
async function assemble(): Promise<void> {
  const source = join(work, 'source');
  mkdirSync(source);
  symlinkSync(join(root, 'node_modules'), join(source, 'node_modules'));
  cpSync(join(root, 'portal/dist'), join(source, 'portal/dist'), { recursive: true });
  for (const name of ['package.json', 'package-lock.json', '.npmrc', 'LICENSE', 'README.md', 'README.ja.md'])
    copyFileSync(join(root, name), join(source, name));
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  for (const [program, ...words] of [
    [process.execPath, compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', join(source, 'dist')],
    ['env', '-C', source, 'npm_config_prefer_offline=true', 'sh', join(root, 'scripts/image-root.sh'), image],
  ] as [string, ...string[]][]) {
    const { code, out, err } = await run(program, words);
    expect(code, `${program} ${words.join(' ')}: ${out}${err}`).toBe(0);
  }
}

/** What a base without a shell has: the C library and its loader, and a place for temporary files. */
function addBase(): void {
  const libraries = execFileSync('ldd', [join(image, 'usr/local/bin/node')], { encoding: 'utf8' });
  for (const [path] of libraries.matchAll(/\/\S+/g)) {
    mkdirSync(join(image, dirname(path)), { recursive: true });
    copyFileSync(realpathSync(path), join(image, path));
    chmodSync(join(image, path), 0o755);
  }
  for (const name of ['tmp', 'dev', 'proc', 'etc']) mkdirSync(join(image, name));
  writeFileSync(join(image, 'etc/passwd'), 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n');
}

/** Runs a command of the image as its user: the root read-only, /data writable, /tmp empty. */
function inside(command: readonly string[]): string[] {
  const mounts = [
    'mount --bind "$0" "$0"',
    'mount --bind "$0/data" "$0/data"',
    'mount -t tmpfs -o mode=1777 tmpfs "$0/tmp"',
    'mount --bind /dev "$0/dev"',
    'mount -t proc proc "$0/proc"',
    'mount -o remount,ro,bind "$0"',
    `exec chroot --userspec=${instruction('USER')} "$0" "$@"`,
  ];
  return ['unshare', '--mount', 'sh', '-c', mounts.join(' && '), image, ...command];
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.startsWith(join(image, 'lib')))
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
