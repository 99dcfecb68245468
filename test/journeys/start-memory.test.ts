// What the start keeps out of memory is there when it is needed.
import process from 'node:process';
import { expect, onTestFinished, test } from 'vitest';
import { eventually, serverWords, spawnGate } from '../gate.ts';

test('the optimizing compilers, which the start does without, are on once the gateway serves', async () => {
  const gate = await spawnGate({ UPSTREAM: 'http://127.0.0.1:9' }, [process.execPath, '--trace-opt', ...serverWords]);
  onTestFinished(() => void gate.process.kill('SIGKILL'));
  const before = gate.output().length;
  for (const target of ['MAGLEV', 'TURBOFAN_JS'])
    await eventually(async () => {
      for (let calls = 0; calls < 100; calls++) await (await fetch(`${gate.url}/healthz`)).text();
      expect(gate.output().slice(before)).toMatch(new RegExp(`completed compiling .*target ${target}`));
    });
});
