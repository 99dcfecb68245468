// /metrics over a socket: what calls leave there, what never appears there, and that the table of docs/metrics.md is what
// a gate shows.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { outcomes } from '../../src/domain/usage.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { freePort } from '../free-ports.ts';
import { eventually, openGate, post, RawClient, root, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let url: string;
let key: { id: string; secret: string };

beforeAll(async () => {
  fake = await startFakeOllama();
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  gate = await openGate(fake.url, { METRICS_PORT: String(port), METRICS_NAMES: 'scrape.internal' });
  key = await gate.key();
  const messages = [{ role: 'user', content: 'x' }];
  for (const model of ['gemma3:270m', 'gemma3:270m', 'sekisho_no_such_model'])
    await post(`${gate.url}/api/chat`, key.secret, { model, messages, stream: false });
  await post(`${gate.url}/api/chat`, 'sekisho_wrong', { model: 'gemma3:270m' });
  await gate.ledger(3);
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const scrape = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();

/** Figures by their whole series, such as `name{a="b"}`. */
async function figures(): Promise<ReadonlyMap<string, number>> {
  const lines = (await scrape()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

test('calls are counted by route, status, model and server, with their tokens and times', async () => {
  const said = await figures();
  const server = fake.url;
  const rows = await gate.ledger(3);
  const served = rows.filter(({ outcome }) => outcome === 'completed');
  expect(served).toHaveLength(2);
  const sum = (of: (row: (typeof rows)[number]) => number): number => served.reduce((all, row) => all + of(row), 0);
  const call = `gen_ai_operation_name="chat",gen_ai_request_model="gemma3:270m",server_address="${server}"`;
  const route = 'http_request_method="POST",http_route="/api/chat"';
  expect(Object.fromEntries(said)).toMatchObject({
    'sekisho_requests_total{dialect="ollama",outcome="completed",code=""}': 2,
    'sekisho_requests_total{dialect="ollama",outcome="refused",code="invalid_api_key"}': 1,
    [`http_server_request_duration_seconds_count{${route},http_response_status_code="200"}`]: 2,
    [`gen_ai_client_operation_duration_seconds_count{${call}}`]: 2,
    [`gen_ai_client_operation_duration_seconds_bucket{${call},le="+Inf"}`]: 2,
    [`gen_ai_client_operation_time_to_first_chunk_seconds_count{${call}}`]: 2,
    [`sekisho_tokens_total{type="input",model="gemma3:270m",server="${server}"}`]: sum((row) => row.promptTokens),
    [`sekisho_tokens_total{type="output",model="gemma3:270m",server="${server}"}`]: sum((row) => row.completionTokens),
    'sekisho_queue_wait_seconds_count{model="gemma3:270m"}': 2,
    [`sekisho_server_up{server="${server}"}`]: 1,
    'sekisho_servers{state="up"}': 1,
    'sekisho_servers{state="down"}': 0,
    sekisho_accepting: 1,
    http_server_active_requests: 0,
    sekisho_ledger_pending_rows: 0,
  });
  expect(said.get('process_memory_usage_bytes')).toBeGreaterThan(10e6);
  expect(said.get('sekisho_data_free_bytes')).toBeGreaterThan(0);
});

test('are shown under addresses, localhost and listed names, and under no other name', async () => {
  const statusFor = async (host: string): Promise<number> => {
    const client = new RawClient(Number(new URL(url).port));
    client.write(`GET /metrics HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    await client.closed;
    if (!client.text.startsWith('HTTP/1.1 200')) expect(client.text).not.toContain('sekisho_requests_total');
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(client.text)?.[1]);
  };
  const own = [
    '127.0.0.1',
    '127.0.0.1:9464',
    '[::1]:1',
    'LOCALHOST.:1',
    'a.localhost',
    'Scrape.internal:9464',
    '192.0.2.1',
  ];
  for (const host of own) expect(await statusFor(host), host).toBe(200);
  const foreign = [
    'evil.example',
    'localhost.evil.example',
    'notlocalhost',
    '127.0.0.1.evil.example',
    'x.scrape.internal',
  ];
  for (const host of foreign) expect(await statusFor(host), host).toBe(421);
});

test('neither keys, accounts nor names that only a caller has sent appear', async () => {
  const text = await scrape();
  const { accountId } = (await gate.ledger(1))[0]!;
  for (const hidden of [key.id, key.secret, accountId, 'sekisho_no_such_model']) expect(text).not.toContain(hidden);
});

test('a server that goes away is down here as well', async () => {
  const gone = await startFakeOllama();
  const { url: address } = gone;
  const server = gate.servers.add(new URL(address));
  await eventually(async () => expect((await figures()).get(`sekisho_server_up{server="${address}"}`)).toBe(1));
  await gone.close();
  await eventually(async () => expect((await figures()).get(`sekisho_server_up{server="${address}"}`)).toBe(0));
  await gate.servers.remove(server);
  expect((await figures()).has(`sekisho_server_up{server="${address}"}`)).toBe(false);
});

test('the listener has nothing but /metrics, and the port of callers has no /metrics', async () => {
  expect((await fetch(`${url}/metrics`)).headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
  for (const path of ['/', '/api/tags', '/portal/', '/metrics/', '/metrics?x'])
    expect((await fetch(url + path)).status, path).toBe(404);
  expect((await fetch(`${gate.url}/metrics`, { headers: { 'x-api-key': key.secret } })).status).toBe(404);
});

test('docs/metrics.md lists exactly the metrics, with their types and labels', async () => {
  const text = await scrape();
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
  const help = new Map([...text.matchAll(/^# HELP (\S+) (.+)$/gm)].map(([, name, words]) => [name, words]));
  const rows = readFileSync(join(root, 'docs/metrics.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  expect(rows.map(([, name = '', type, , words]) => [name.replaceAll('`', ''), type, words])).toEqual(
    [...types].map(([name, type]) => [name, type, help.get(name)]),
  );
  for (const [, name = '', , labels = ''] of rows) {
    const bare = name.replaceAll('`', '');
    const shown = new RegExp(`^${bare}(?:_bucket|_sum|_count)?\\{([^}]*)\\} `, 'm').exec(text)?.[1] ?? '';
    const found = [...shown.matchAll(/(\w+)="/g)].map(([, label]) => label).filter((label) => label !== 'le');
    if (shown !== '') expect(labels.replaceAll('`', ''), bare).toBe(found.join(', '));
  }
});

test('the alert rules of docs/metrics.md ask for metrics that exist, and for outcomes that calls can have', () => {
  const text = readFileSync(join(root, 'docs/metrics.md'), 'utf8');
  const rules = text.slice(text.indexOf('## Alert rules'));
  const names = [...rules.matchAll(/\b(?:sekisho|nodejs|http|gen_ai)_\w+/g)].map(([name]) =>
    name.replace(/_bucket$/, ''),
  );
  expect(names.length).toBeGreaterThan(6);
  for (const name of names) expect(text, name).toContain(`| \`${name}\` `);
  const asked = [...rules.matchAll(/outcome=~"([^"]+)"/g)].flatMap(([, list = '']) => list.split('|'));
  expect(asked.length).toBeGreaterThan(0);
  for (const outcome of asked) expect(outcomes).toContain(outcome);
});
