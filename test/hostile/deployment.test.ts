// The gate with minimal rights: not root, no capability, no way to gain one, a read-only system, no home and no /tmp. It can
// write only to its data directory, as in deploy/.
import { execFileSync } from 'node:child_process';
import { chownSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, post, root, serverWords, spawnGate, temporaryDirectory } from '../gate.ts';

let fake: FakeOllama;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(() => fake.close());

const nobody = 65534;

test('H11: serves without any privilege, and cannot gain one', async () => {
  // Made beforehand, because a process of ours writing there as root afterwards would change the owner.
  const first = await openGate(fake.url);
  const { secret } = await first.key();
  const dataDir = temporaryDirectory();
  execFileSync('cp', ['-a', `${first.dataDir}/.`, dataDir]);
  await first.stop();
  for (const file of ['', ...globSync('**', { cwd: dataDir })]) chownSync(join(dataDir, file), nobody, nobody);
  const script = [
    // The data stays writable and the program reachable, whatever is above them; everything else is read-only.
    `mount --bind ${dataDir} ${dataDir}`,
    `mount --bind ${root} /mnt && mount -o remount,bind,ro /mnt`,
    'mount -o remount,bind,ro /',
    'cd /mnt',
    `exec setpriv --reuid ${nobody} --regid ${nobody} --clear-groups --no-new-privs --bounding-set -all --inh-caps -all ` +
      `env -u HOME -u TMPDIR ${process.execPath.replace(root, '/mnt')} ${serverWords.join(' ')}`,
  ].join(' && ');
  const gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir }, [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    script,
  ]);
  const answer = await post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m', prompt: 'x', stream: false });
  expect(answer.status).toBe(200);
  const status = readFileSync(`/proc/${gate.process.pid}/status`, 'utf8');
  expect(/^Uid:\s+(.*)$/m.exec(status)?.[1]).toBe(Array(4).fill(nobody).join('\t'));
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
    expect(status, set).toMatch(new RegExp(`^${set}:\\s+0+$`, 'm'));
  expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
  expect(gate.output()).not.toMatch(/EACCES|EROFS|EPERM/);
});
