// The OpenAPI document as its readers use it: a validator accepts it, and a client generated from it compiles, knows every
// field and works against a running gate.
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { Validator } from '@seriousme/openapi-schema-validator';
import { generateApi } from 'swagger-typescript-api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, root, run, type TestGate, temporaryDirectory } from '../gate.ts';

type Json = Record<string, unknown>;

let fake: FakeOllama;
let gate: TestGate;
let document: { components: { schemas: Record<string, Json> }; paths: Record<string, Record<string, Json>> };
let folder: string;

beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
  document = (await (await fetch(`${gate.url}/management/v1/openapi.json`)).json()) as typeof document;
  folder = temporaryDirectory();
  writeFileSync(join(folder, 'openapi.json'), JSON.stringify(document));
});

afterAll(async () => {
  await gate.stop();
  await fake.close();
  rmSync(folder, { recursive: true, force: true });
});

test('a validator accepts the document as OpenAPI 3.1', async () => {
  const validator = new Validator();
  expect(await validator.validate(structuredClone(document))).toEqual({ valid: true });
  expect(validator.version).toBe('3.1');
});

test('the document and the reference page arrive compressed as their reader accepts, and are kept by one tag', async () => {
  for (const path of ['/management/v1/openapi.json', '/management/v1/']) {
    const read = async (headers: Record<string, string>): Promise<readonly [IncomingMessage, Buffer]> => {
      const [response] = (await once(httpGet(gate.url + path, { headers }), 'response')) as [IncomingMessage];
      return [response, Buffer.concat((await response.toArray()) as Buffer[])];
    };
    const [plain, bytes] = await read({});
    expect(plain.headers).toMatchObject({ 'cache-control': 'no-cache', vary: 'accept-encoding' });
    expect(plain.headers['content-encoding']).toBeUndefined();
    for (const [accepted, coding, open] of [
      ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
      ['gzip, br;q=0', 'gzip', gunzipSync],
    ] as const) {
      const [{ headers }, small] = await read({ 'accept-encoding': accepted });
      expect(headers).toMatchObject({ 'content-encoding': coding, etag: plain.headers.etag, vary: 'accept-encoding' });
      expect(small.length).toBeLessThan(bytes.length / 5);
      expect(open(small).equals(bytes)).toBe(true);
    }
    const [kept, nothing] = await read({ 'if-none-match': plain.headers.etag ?? '', 'accept-encoding': 'br' });
    expect([kept.statusCode, nothing.length, kept.headers.etag]).toEqual([304, 0, plain.headers.etag]);
  }
});

test('no schema is only a reference, and every reference leads to a schema with content', () => {
  const { schemas } = document.components;
  expect(Object.keys(schemas).length).toBeGreaterThan(50);
  for (const [name, schema] of Object.entries(schemas)) {
    expect(Object.keys(schema), name).not.toEqual(['$ref']);
    expect(schema, name).toHaveProperty('type');
  }
  for (const [, name = ''] of JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g))
    expect(schemas).toHaveProperty([name.replace('#/components/schemas/', '')]);
});

test('a client generated from the document compiles, refuses wrong fields and works', async () => {
  const { files } = await generateApi({
    input: join(folder, 'openapi.json'),
    output: false,
    httpClientType: 'fetch',
    silent: true,
  });
  writeFileSync(join(folder, 'client.ts'), files[0]?.fileContent ?? '');
  writeFileSync(join(folder, 'use.ts'), use);
  const compiler = join(root, 'node_modules/.bin/tsc');
  const flags = ['--noEmit', '--strict', '--target', 'esnext', '--module', 'nodenext', '--skipLibCheck'];
  const compiled = await run(compiler, [
    ...flags,
    '--ignoreConfig',
    '--allowImportingTsExtensions',
    '--types',
    '',
    join(folder, 'use.ts'),
  ]);
  expect(compiled.out).toBe('');
  expect(compiled.code).toBe(0);

  const { secret } = await gate.key({ scopes: ['management'] });
  const { run: useClient } = (await import(join(folder, 'use.ts'))) as {
    run: (url: string, secret: string) => Promise<unknown>;
  };
  expect(await useClient(`${gate.url}/management/v1`, secret)).toEqual({
    name: 'generated',
    scopes: ['inference:chat'],
    revoked: 'revoked',
  });
});

/**
 * Uses the client as a third-party program would; each `@ts-expect-error` fails to compile if a schema allows anything.
 */
const use = `
import { Api, type Account, type Key } from './client.ts';

export async function run(baseUrl: string, secret: string) {
  const api = new Api({ baseUrl, baseApiParams: { headers: { authorization: 'Bearer ' + secret } } });
  const { data: account }: { data: Account } = await api.accounts.createAccount({ name: 'generated', plan: 'trial' });
  // @ts-expect-error -- an account has no such field
  void account.nickname;
  // @ts-expect-error -- a new account needs a name
  void (() => api.accounts.createAccount({ plan: 'trial' }));
  const { data: made } = await api.keys.createKey({ name: 'laptop', account: account.name, scopes: ['inference:chat'] });
  // @ts-expect-error -- scopes are a list
  void (() => api.keys.createKey({ name: 'laptop', account: account.name, scopes: 'metadata' }));
  const first: Key = made;
  await api.keys.revokeKey(first.id);
  const { data: after } = await api.keys.getKey(first.id);
  return { name: account.name, scopes: first.scopes, revoked: after.status };
}
`;
