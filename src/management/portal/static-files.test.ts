import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import { SharedAnswers } from '../http/send.ts';
import { StaticFiles } from './static-files.ts';

test('a file is read at its first request and kept; one that is gone by then is answered like one that never was', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sekisho-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'assets'));
  for (const name of ['read.js', 'unread.js']) {
    writeFileSync(join(folder, 'assets', name), name);
    writeFileSync(join(folder, 'assets', `${name}.br`), brotliCompressSync(name));
  }
  const files = new StaticFiles(folder, new SharedAnswers({ bytesTo: () => undefined }, () => 'somebody'));
  const app = express().use((request, response) => {
    if (!files.answer(request.path, 'no-cache', request, response)) response.status(404).end();
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const get = async (name: string, coding: string): Promise<[number, string | null, string]> => {
    const headers = { 'accept-encoding': coding };
    const answer = await fetch(`http://127.0.0.1:${port}/assets/${name}`, { headers });
    return [answer.status, answer.headers.get('content-encoding'), await answer.text()];
  };
  expect(await get('read.js', 'identity')).toEqual([200, null, 'read.js']);
  for (const name of readdirSync(join(folder, 'assets'))) rmSync(join(folder, 'assets', name));
  expect(await get('read.js', 'identity')).toEqual([200, null, 'read.js']);
  expect(await get('read.js', 'br')).toEqual([200, 'br', 'read.js']);
  expect((await get('unread.js', 'identity'))[0]).toBe(404);
  expect((await get('other.js', 'identity'))[0]).toBe(404);
});
