// A start that fails halfway, at each of its steps in turn, in a process of its own.
import process from 'node:process';
import { beforeAll, expect, test } from 'vitest';
import { startSteps } from '../../src/compose/start.ts';
import type { Report } from '../failing-start.ts';
import { freePort } from '../free-ports.ts';
import { openGate, RawClient, run } from '../gate.ts';

const nothing = { files: [], held: false, ports: [], keeps: [] };
let ended: { code: number; err: string };
let reports: ReadonlyMap<string, Report>;

beforeAll(async () => {
  const { code, out, err } = await run(process.execPath, ['test/failing-start.ts']);
  ended = { code, err };
  reports = new Map(
    out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Report)
      .map((report) => [report.case, report]),
  );
});

test.each(startSteps)('a start that fails at its step "%s" reports it and leaves nothing open', (step) => {
  const report = reports.get(step);
  expect(report?.error).toEqual({
    step,
    message: `The start failed at its step "${step}": no ${step} today`,
    cause: 'Error',
  });
  // Every earlier step was done.
  expect(report?.steps).toEqual(startSteps.slice(0, startSteps.indexOf(step) + 1));
  expect(report?.left).toEqual(nothing);
});

test('a start that cannot bind its port leaves nothing open', () => {
  const report = reports.get('a port that is taken');
  expect(report?.error).toMatchObject({ step: 'port', cause: 'ListenFailed' });
  expect(report?.left).toEqual(nothing);
});

test('a serving gate holds files, ports and timers, and a stopped one has released all of them', () => {
  const report = reports.get('no failure');
  expect(report?.steps).toEqual(startSteps);
  expect(report?.open?.files).toEqual(expect.arrayContaining(['gate.lock', 'sekisho.db']));
  expect(report?.open?.files.some((file) => file.startsWith('journal/'))).toBe(true);
  expect(report?.open?.ports).toEqual(['port', 'plain']);
  expect(report?.open?.keeps).toEqual(expect.arrayContaining(['TCPServerWrap', 'Timeout']));
  expect(report?.left).toEqual(nothing);
});

test('the process ends by itself after failed starts', () => {
  expect(ended).toEqual({ code: 0, err: '' });
});

test('the first accepted connection is answered: no request arrives before its route', async () => {
  const port = await freePort();
  const failed = new AbortController();
  const knocking = (async () => {
    while (!failed.signal.aborted) {
      const client = new RawClient(port);
      let isIn = false;
      client.socket.once('connect', () => (isIn = true));
      client.write('GET /portal HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      await client.closed;
      if (isIn) return client.text;
    }
    return '';
  })();
  const gate = await openGate('http://127.0.0.1:9', { PORT: String(port) }).catch((error: unknown) => {
    failed.abort();
    throw error;
  });
  try {
    expect(await knocking).toMatch(/^HTTP\/1\.1 302 /);
  } finally {
    await gate.stop();
  }
});
