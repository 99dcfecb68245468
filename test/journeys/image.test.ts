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
import { settings } from '../../src/settings/settings.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { freePort } from '../free-ports.ts';
import { type GateProcess, post, root, run, spawnGate, temporaryDirectory } from '../gate.ts';

const work = temporaryDirectory();
const image = join(work, 'image');
const containerfile = readFileSync(join(root, 'Containerfile'), 'utf8');
const final = containerfile.slice(containerfile.lastIndexOf('\nFROM '));
const instruction = (name: string): string => new RegExp(`^${name} (.+)$`, 'm').exec(final)?.[1] ?? '';
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, string>;
const document = readFileSync(join(root, 'docs/container.md'), 'utf8');
const list = (name: string): string[] => JSON.parse(instruction(name)) as string[];
const environment = Object.fromEntries(
  instruction('ENV')
    .split(' ')
    .map((pair) => pair.split('=') as [string, string]),
);
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, { version: string }>;
};
const lockedNode = lock.packages['node_modules/node']?.version ?? '';
let fake: FakeOllama;
let gate: GateProcess | undefined;

beforeAll(async () => {
  fake = await startFakeOllama();
  await assemble();
  addBase();
  writeFileSync(join(work, 'assembled'), '');
});

afterAll(async () => {
  gate?.process.kill('SIGKILL');
  await fake.close();
  rmSync(work, { recursive: true, force: true });
});

test('it is at most 200 MB, with the program, its pages and no development package', () => {
  // The base (distroless cc-debian13) has 24 MB.
  expect(bytesIn(image)).toBeLessThan((200 - 24) * 1e6);
  expect(readdirSync(join(image, 'app/node_modules'))).toEqual(['better-sqlite3']);
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

test('its labels say what it is: the name, description, license and version of package.json, and the revision', () => {
  const text = final.replaceAll('\\\n', '');
  const labels = [...(/^LABEL (.+)$/m.exec(text)?.[1] ?? '').matchAll(/(\S+)="([^"]*)"/g)].map(([, ...pair]) => pair);
  expect(Object.fromEntries(labels)).toEqual({
    'org.opencontainers.image.title': 'Sekisho',
    'org.opencontainers.image.description': manifest['description'],
    'org.opencontainers.image.licenses': manifest['license'],
    'org.opencontainers.image.version': manifest['version'],
    'org.opencontainers.image.revision': '${REVISION}',
  });
  expect(text).toMatch(/^ARG REVISION=unknown$/m);
  expect(document).toContain('--build-arg REVISION=');
});

test('it needs no shell: it has none, no script for one, and no instruction that runs one', () => {
  const executable = execFileSync('find', [image, '-type', 'f', '-perm', '/111', '-printf', '%P\n'], {
    encoding: 'utf8',
  });
  const shells = execFileSync('find', [image, '-regex', '.*/\\(ba\\|da\\|a\\|z\\)?sh'], { encoding: 'utf8' });
  expect(shells).toBe('');
  // Besides scripts of packages, which nothing runs, and libraries: the runtime and the command for it.
  const programs = executable.split('\n').filter((name) => /^(usr\/|s?)bin\/|^usr\/local\/bin\//.test(name));
  expect(programs.toSorted()).toEqual(['usr/local/bin/node', 'usr/local/bin/sekisho']);
  expect(readFileSync(join(image, 'usr/local/bin/sekisho'), 'utf8')).toMatch(/^#!\/usr\/local\/bin\/node\n/);
  expect(final).not.toMatch(/^RUN /m);
  // The forms without a JSON list are run by /bin/sh.
  expect([list('ENTRYPOINT'), list('CMD')]).toEqual([
    [expect.stringContaining('node'), expect.anything(), expect.anything()],
    ['serve'],
  ]);
  expect(instruction('HEALTHCHECK')).toMatch(/ CMD \["/);
});

test('docs/container.md says what the image sets', () => {
  for (const pair of instruction('ENV').split(' ')) expect(document).toContain(`\`${pair}\``);
  for (const figure of [instruction('USER').split(':')[0], instruction('STOPSIGNAL'), instruction('VOLUME')])
    expect(document).toContain(figure);
  const size = statSync(join(image, 'usr/local/bin/node')).size / 1e6;
  expect(document).toContain(`of which Node is ${Math.round(size)} MB`);
  expect(containerfile).toMatch(new RegExp(`^ARG BUILD_IMAGE=\\S+/node:${lockedNode}-`, 'm'));
});

test('it serves as its user on a read-only root, is healthy, and stops in order', async () => {
  const port = String(await freePort());
  const given = { PORT: port, HOST: environment['HOST'] ?? '', UPSTREAM: fake.url };
  gate = await spawnGate({ ...given, DATA_DIR: '/data' }, inside([...list('ENTRYPOINT'), ...list('CMD')]));
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
  expect(status).toMatch(/^CapEff:\t0+$/m);
  expect(await command(['/usr/local/bin/node', '--version'])).toMatchObject({ out: `v${lockedNode}\n` });
  expect(await command([...list('ENTRYPOINT'), 'key', 'list'])).toMatchObject({
    code: 0,
    out: expect.stringContaining('laptop'),
  });
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
  expect(Number(/^(\d+)s$/.exec(String(services.gate['stop_grace_period']))?.[1])).toBeGreaterThan(
    settings.drainSeconds.fallback,
  );
  expect(services.ollama).not.toHaveProperty('ports');
  expect(Object.keys(volumes)).toEqual(['data', 'models']);
});

/** What the stage `build` of the Containerfile does, with the pages that `npm test` has built. */
async function assemble(): Promise<void> {
  const source = join(work, 'source');
  mkdirSync(source);
  symlinkSync(join(root, 'node_modules'), join(source, 'node_modules'));
  cpSync(join(root, 'portal/dist'), join(source, 'portal/dist'), { recursive: true });
  for (const name of ['package.json', 'LICENSE', 'README.md', 'README.ja.md'])
    copyFileSync(join(root, name), join(source, name));
  for (const [program, ...words] of [
    [process.execPath, join(root, 'scripts/build-server.ts'), join(source, 'dist')],
    ['env', '-C', source, 'sh', join(root, 'scripts/image-root.sh'), image],
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
