// A model server that answers with a web page, on the portal's origin: a browser runs nothing of it, and it cannot act for a
// signed-in person.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBrowser, Reader } from '../browser.ts';
import { type FakeOllama, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, post, RawClient, type TestGate } from '../gate.ts';
import { operatorOf, type Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let browser: Browser;
let operator: Visitor;
let secret: string;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
  operator = await operatorOf(gate);
  ({ secret } = await gate.key({ allowPath: true }));
  browser = await openBrowser();
});
afterAll(async () => {
  await browser.close();
  await gate.stop();
  await fake.close();
});

const page = `<!doctype html><h1>x</h1><script>
fetch('/management/v1/accounts', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ name: 'planted', role: 'operator' }),
});
document.title = 'ran';
</script>`;
const html = { 'Content-Type': 'text/html' };
const answers =
  (headers: Record<string, string>, body: string, status = 200): Script =>
  (_, answer) =>
    answer.whole(status, headers, body);

describe('a page in a model server’s answer', () => {
  test.each([
    ['the URL with a key opens it', () => `/k/${secret}/api/version`],
    ['the URL with a key opens its error', () => `/k/${secret}/v1/models`],
  ])('runs nothing in the browser of a signed-in operator: %s', async (_, path) => {
    fake.next(answers(html, page, path().endsWith('models') ? 500 : 200));
    const reader = await Reader.at(browser, gate.url);
    await reader.signInAs(operator);
    // The session works: the portal's own scripts get answers.
    await reader.open('/portal');
    expect(await reader.page.evaluate(`fetch('/management/v1/me').then(({ status }) => status)`)).toBe(200);
    const opened = await reader.page.goto(gate.url + path());
    expect(opened?.status()).toBe(403);
    expect(await reader.page.title()).not.toBe('ran');
    // In a frame, as a script and as an object of a page of our own origin, which only its own policy would keep out.
    const other = await browser.newContext({ bypassCSP: true });
    await other.addCookies([...operator.cookies].map(([name, value]) => ({ name, value, url: gate.url })));
    const own = await other.newPage();
    await own.goto(`${gate.url}/portal`);
    for (const tag of ['iframe src', 'embed src', 'object data', 'script src', 'img src'])
      await own.evaluate(
        `new Promise((resolve) => {
          const [name, attribute] = ${JSON.stringify(tag)}.split(' ');
          const made = document.createElement(name);
          made[attribute] = ${JSON.stringify(path())};
          made.onload = made.onerror = () => resolve();
          document.body.append(made);
        })`,
      );
    const accounts = await gate.manage((store) => store.listAccounts());
    expect(accounts.map(({ name }) => name)).not.toContain('planted');
    await other.close();
    await reader.close();
    // A program gets an error; and the page's text is passed to no one.
    const told = await fetch(gate.url + path());
    expect(told.headers.get('content-type')).not.toContain('html');
    await told.text();
  });

  test('runs nothing when the browser does not announce a page load either', async () => {
    fake.next(answers({ 'Content-Type': 'text/plain' }, page));
    const context = await browser.newContext();
    // As over plain HTTP in a local network, where no Sec-Fetch header is sent.
    await context.route('**/api/version', async (route) => {
      const said = await fetch(route.request().url());
      await route.fulfill({
        status: said.status,
        headers: { ...Object.fromEntries(said.headers), 'content-type': 'text/html' },
        body: await said.text(),
      });
    });
    const tab = await context.newPage();
    const opened = await tab.goto(`${gate.url}/k/${secret}/api/version`);
    expect(opened?.status()).toBe(200);
    expect(await tab.locator('h1').innerText()).toBe('x');
    expect(await tab.title()).not.toBe('ran');
    expect(await tab.evaluate('self.origin')).toBe('null');
    await context.close();
  });

  test('is not a valid answer of any operation: 502, and its type tells an error page from an error', async () => {
    for (const type of [
      'text/html',
      'TEXT/HTML; charset=utf-8',
      'image/svg+xml',
      'application/xhtml+xml',
      'text/xml',
    ]) {
      for (const [path, body] of [
        ['/api/generate', { model: 'gemma3:270m', prompt: 'x', stream: false }],
        ['/api/generate', { model: 'gemma3:270m', prompt: 'x' }],
        ['/v1/chat/completions', { model: 'gemma3:270m', messages: [], stream: true }],
        ['/api/show', { model: 'gemma3:270m' }],
      ] as const) {
        fake.next(answers({ 'Content-Type': type }, page));
        const refused = await post(gate.url + path, secret, body);
        expect([refused.status, refused.headers.get('x-sekisho-error-code')], type).toEqual([502, 'upstream_failed']);
        expect(await refused.text()).not.toContain('<');
        fake.next(answers({ 'Content-Type': type }, page, 500));
        const failed = await post(gate.url + path, secret, body);
        expect(failed.status).toBe(500);
        expect(failed.headers.get('content-type')).not.toMatch(/html|xml|svg/i);
        await failed.text();
      }
    }
  });
});

test('a URL with a key answers programs, and no page, frame, script, image or worker', async () => {
  const path = `/k/${secret}/api/version`;
  const ask = (headers: Record<string, string>) => fetch(gate.url + path, { headers });
  expect((await ask({})).status).toBe(200);
  expect((await ask({ 'sec-fetch-dest': 'empty', 'sec-fetch-mode': 'cors' })).status).toBe(200);
  for (const dest of ['document', 'iframe', 'frame', 'object', 'embed', 'script', 'image', 'serviceworker', 'style']) {
    const client = new RawClient(gate.port);
    client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nSec-Fetch-Dest: ${dest}\r\n\r\n`);
    await client.closed;
    expect(client.text, dest).toMatch(/^HTTP\/1\.1 403 [\s\S]*x-sekisho-error-code: no_pages_here/);
  }
  for (const line of ['Sec-Fetch-Mode: navigate', 'Upgrade-Insecure-Requests: 1']) {
    const client = new RawClient(gate.port);
    client.write(`GET /k/${secret}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${line}\r\n\r\n`);
    await client.closed;
    expect(client.text, line).toMatch(/^HTTP\/1\.1 403 /);
  }
});

test('every answer of the data plane keeps its type, gets no origin as a document, and is for this origin alone', async () => {
  const asked: [string, RequestInit?][] = [
    ['/api/version', { headers: { 'x-api-key': secret } }],
    ['/api/version'],
    ['/nowhere'],
    ['/api/version', { method: 'OPTIONS' }],
    ['/', { headers: { accept: 'text/plain' } }],
    [`/k/${secret}/v1/models`],
  ];
  for (const [path, init] of asked) {
    const { headers } = await fetch(gate.url + path, init);
    expect(headers.get('x-content-type-options'), path).toBe('nosniff');
    expect(headers.get('content-security-policy'), path).toMatch(/^sandbox; default-src 'none'/);
    expect(headers.get('cross-origin-resource-policy'), path).toBe('same-origin');
  }
  const client = new RawClient(gate.port);
  client.write('GET /\u0000 HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.closed;
  expect(client.text.toLowerCase()).toContain("content-security-policy: sandbox; default-src 'none'");
});
