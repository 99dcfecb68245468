// What every list, chart and log of the portal must do, in one long visit by an operator and a member: names in the place of
// ids, keys that pages make for themselves nowhere, figures and times that are true.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Look, openBrowser, Reader } from '../browser.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, post, sekisho, type TestGate } from '../gate.ts';
import { goodPassword, operatorOf, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let browser: Browser;
let operator: Visitor;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '1000' });
  operator = await operatorOf(gate);
  await operator.patch('/registration', { mode: 'open', plan: 'default' });
  browser = await openBrowser();
});
afterAll(async () => {
  await browser.close();
  await gate.stop();
  await fake.close();
});

async function readerOf(visitor: Visitor, look: Look = {}): Promise<Reader> {
  const reader = await Reader.at(browser, gate.url, look);
  await reader.context.addCookies([...visitor.cookies].map(([name, value]) => ({ name, value, url: gate.url })));
  return reader;
}

const call = (secret: string): Promise<Response> =>
  post(`${gate.url}/api/chat`, secret, {
    model: 'gemma3:270m',
    messages: [{ role: 'user', content: 'x' }],
    stream: false,
  });

/** Somebody who applies under a name that is not part of their address. */
async function applicant(name: string, email: string): Promise<Visitor> {
  const visitor = new Visitor(gate.url);
  const { body } = await visitor.post('/applications', { name, email, purpose: 'a test', password: goodPassword });
  expect(body.status).toBe('approved');
  return visitor;
}

test('accounts, keys, steps, calls and changes are shown and found by name, address and id', async () => {
  const hanako = await applicant('花子', 'hanako@lists.example');
  const twin = await applicant('花子', 'other@lists.example');
  const impostor = await applicant('hanako@lists.example', 'thief@lists.example');
  const names = await Promise.all(
    [hanako, twin, impostor].map(async (each) => (await each.get('/session')).body.account.name as string),
  );
  expect(names).toEqual(['花子', '花子 (other@lists.example)', 'thief@lists.example']);
  const { id } = (await hanako.get('/session')).body.account;
  const keys = [];
  for (const each of [hanako, twin]) {
    const { body } = await each.post('/me/keys', { name: 'laptop' });
    expect((await call(body.secret)).status).toBe(200);
    keys.push(body);
  }
  await gate.ledger(2);
  await operator.post('/suspensions', { whom: keys[0].id, step: 'warn', reason: 'So that there is one' });

  // The management API has the names beside the ids, for the command line as well.
  expect((await operator.get('/keys?search=laptop')).body.items).toMatchObject([
    { account: id, accountName: '花子' },
    { accountName: '花子 (other@lists.example)' },
  ]);
  for (const search of ['hanako@lists', id as string])
    expect((await operator.get(`/keys?search=${search}`)).body.items).toMatchObject([{ name: 'laptop' }]);
  expect((await operator.get('/accounts?search=hanako@')).body.items).toMatchObject([
    { id, person: { name: '花子', email: 'hanako@lists.example' } },
    // Whose person calls themselves so.
    { name: 'thief@lists.example' },
  ]);
  expect((await operator.get('/suspensions')).body.items).toMatchObject([{ accountName: '花子', keyName: 'laptop' }]);
  expect((await operator.get('/usage?account=hanako@lists.example')).body.items).toMatchObject([
    { accountName: '花子', keyName: 'laptop' },
  ]);
  const { items: sums } = (await operator.get('/usage/report?by=key')).body;
  expect(sums.map(({ name, accountName }: Record<string, string>) => `${name} ${accountName}`).toSorted()).toEqual([
    'laptop 花子',
    'laptop 花子 (other@lists.example)',
  ]);
  const { items: events } = (await operator.get('/audit?search=laptop')).body;
  expect(events.map(({ action, names: known }: Record<string, Record<string, string>>) => [action, known])).toEqual(
    expect.arrayContaining([
      ['suspension.warn', expect.objectContaining({ [keys[0].id]: 'laptop (花子)' })],
      ['key.create', expect.objectContaining({ [keys[1].id]: 'laptop (花子 (other@lists.example))' })],
    ]),
  );
  const { out } = await sekisho(['usage', '--by', 'key'], { DATA_DIR: gate.dataDir });
  expect(out).toMatch(/laptop +花子 /);

  const reader = await readerOf(operator);
  for (const [path, ...words] of [
    ['keys', 'laptop', '花子 (other@lists.example)'],
    ['suspensions', 'laptop', '花子'],
    ['usage', 'laptop', '花子 (other@lists.example)'],
    ['accounts', '花子'],
    ['audit', 'laptop (花子)'],
  ] as const) {
    await reader.open(`/portal/operate/${path}`);
    await reader.page.waitForLoadState('networkidle');
    const text = await reader.page.locator('main').innerText();
    for (const word of words) expect(text, path).toContain(word);
    expect(text.match(/\b(?:acc|key|usr|sus)_\w{4,}/g) ?? [], `ids on ${path}`).toEqual([]);
  }
  await reader.open('/portal/operate/keys');
  await reader.page.getByRole('searchbox').fill('hanako@lists');
  await reader.page.getByText('花子 (other@lists.example)').waitFor({ state: 'detached' });
  await reader.press('Copy the ID of laptop');
  expect(await reader.page.evaluate('navigator.clipboard.readText()')).toBe(keys[0].id);
  await reader.isSound();
  await reader.close();
});
