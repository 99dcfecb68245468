// What every list, chart and log of the portal must do, in one long visit by an operator and a member: names in the place of
// ids, keys that pages make for themselves nowhere, figures and times that are true.
import { readFileSync, rmSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { Reader } from '../browser.ts';
import { eventually, type GateProcess, post, sekisho, spawnGate, temporaryDirectory } from '../gate.ts';
import { layoutFaults } from '../layout.ts';
import { openPages } from '../pages.ts';
import { goodPassword, memberOf, operatorOf, Visitor } from '../visitor.ts';

const { fake, gate, readerOf, close } = await openPages({ APPLICATIONS_PER_MINUTE: '1000', TIME_ZONE: 'UTC' });
afterAll(close);
const operator = await operatorOf(gate);
await operator.patch('/registration', { mode: 'open', plan: 'default' });

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

/** How far from the left edge these words stand, of a text that has all of them. */
const placesOf = (reader: Reader, words: readonly string[]): Promise<readonly number[]> =>
  reader.page.evaluate<readonly number[]>(`(() => {
    const words = ${JSON.stringify(words)};
    const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const { data } = texts.currentNode;
      if (!words.every((word) => data.includes(word))) continue;
      return words.map((word) => {
        const range = document.createRange();
        range.setStart(texts.currentNode, data.indexOf(word));
        range.setEnd(texts.currentNode, data.indexOf(word) + word.length);
        return range.getBoundingClientRect().left;
      });
    }
    return [];
  })()`);

test('a name in a right-to-left script leaves the order of what stands beside it, and no name is more than text', async () => {
  const visitor = await applicant('Maryam', 'maryam@lists.example');
  const { body: key } = await visitor.post('/me/keys', { name: 'مفتاح' });
  await visitor.patch(`/me/keys/${key.id as string}`, { name: 'باب' });
  const desk = await readerOf(operator);
  await desk.open('/portal/operate/audit');
  await desk.sees('مفتاح');
  const [before, after] = await placesOf(desk, ['مفتاح', 'باب']);
  expect(before).toBeLessThan(after ?? 0);
  await desk.close();

  const names = [
    '$t(shell:close)',
    '{{name}} $& $1',
    '<b onclick="x">x</b>',
    '👩‍👩‍👧‍👦',
    'w'.repeat(64),
    'e\u0301'.repeat(64),
  ];
  for (const name of names) await visitor.post('/me/keys', { name });
  const reader = await readerOf(visitor, { width: 390 });
  await reader.open('/portal/keys');
  for (const name of names) {
    const card = reader.page.locator('main .mantine-Paper-root').filter({ hasText: name.normalize('NFC') });
    await card.getByRole('button', { name: 'Revoke' }).click();
    const dialog = reader.page.getByRole('dialog');
    await eventually(async () => expect(await dialog.innerText()).toContain(`Revoke “${name.normalize('NFC')}”?`));
    await reader.isSound();
    await reader.page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
  }
  await reader.close();
});

const beyond = `(() => {
  const { scrollWidth, clientWidth } = document.querySelector('[role="dialog"] pre');
  return scrollWidth - clientWidth;
})()`;

test('a new key is shown whole on a phone', async () => {
  const reader = await readerOf(await applicant('Whole', 'whole@lists.example'), { width: 390 });
  await reader.open('/portal/keys');
  await reader.press('New key');
  await reader.fill(/^What is it for/, 'phone');
  await reader.press('Create key');
  const shown = reader.page.getByRole('dialog').locator('pre').first();
  await shown.waitFor();
  expect(await reader.page.evaluate<number>(beyond)).toBeLessThanOrEqual(0);
  await reader.close();
});

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
  // Parts of names and addresses, for the log and for the command line; sums are of one.
  for (const [search, count] of [
    ['account=nako@lists', 1],
    ['account=lists.example', 2],
    ['key=apto', 2],
    ['key=apto&account=nako@', 1],
  ] as const)
    expect((await operator.get(`/requests?${search}`)).body.items, search).toHaveLength(count);
  expect((await operator.get('/requests?account=nobody-like-this')).status).toBe(404);
  expect((await operator.get('/usage/report?by=day&account=lists.example')).body).toMatchObject({
    reason: 'filter_several',
  });
  const listed = await sekisho(['request', 'list', '--account', 'ists.example', '--key', 'lapt', '--json'], {
    DATA_DIR: gate.dataDir,
  });
  expect(JSON.parse(listed.out)).toHaveLength(2);
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
    ['requests', 'laptop', '花子 (other@lists.example)'],
    ['accounts', '花子'],
    ['audit', 'laptop (花子)'],
  ] as const) {
    await reader.open(`/portal/operate/${path}`);
    await reader.page.waitForLoadState('networkidle');
    const text = await eventually(async () => {
      const shown = await reader.page.locator('main').innerText();
      for (const word of words) expect(shown, path).toContain(word);
      return shown;
    });
    expect(text.match(/\b(?:acc|key|usr|sus)_\w{4,}/g) ?? [], `ids on ${path}`).toEqual([]);
  }
  await reader.open('/portal/operate/keys');
  await reader.page.getByRole('searchbox').fill('hanako@lists');
  await reader.page.getByText('花子 (other@lists.example)').waitFor({ state: 'detached' });
  await reader.press('Copy the ID of laptop');
  const laptop: string = keys[0].id;
  await eventually(async () => expect(await reader.page.evaluate('navigator.clipboard.readText()')).toBe(laptop));
  await reader.isSound();
  await reader.close();
});

test('charts have every hour, day and month, in the time zone that is chosen, and moments say theirs', async () => {
  const member = await memberOf(gate, 'charts@lists.example');
  const { body: key } = await member.post('/me/keys', { name: 'charts' });
  expect((await call(key.secret)).status).toBe(200);
  await gate.ledger(1);
  const reader = await readerOf(member);
  await reader.open('/portal/usage');
  const ticks = (): Promise<string[]> => reader.page.locator('.chart-times text').allTextContents();
  for (const [name, count, label] of [
    ['7 days', 7, /^\d{1,2} \w{3,4}$/],
    ['A year', 12, /^\w{3,4} \d{2}$/],
    ['A day', 24, /^\d{2}:00$/],
  ] as const) {
    await reader.page.getByText(name, { exact: true }).click();
    await eventually(async () =>
      expect(
        (await ticks()).filter((text) => label.test(text)),
        name,
      ).toHaveLength(count),
    );
  }
  await reader.sees('Times in Asia/Tokyo');
  await reader.sees('tokens');
  await reader.page.locator('.chart svg').first().hover();
  await reader.page.locator('.chart-tip').first().waitFor();
  await reader.isSound();
  await reader.close();

  const boss = await readerOf(operator);
  await boss.open('/portal/operate/audit');
  // British as this browser is, not American; with seconds and zone.
  await boss.sees(/^\d{1,2} \w{3,4} 20\d\d, \d{2}:\d{2}:\d{2} (?:GMT\+9|JST)/);
  await boss.press(/^Signed in as/);
  await boss.page.getByRole('menuitem', { name: /of the gateway/ }).click();
  await boss.sees(/^\d{1,2} \w{3,4} 20\d\d, \d{2}:\d{2}:\d{2} UTC/);
  await boss.open('/portal/operate/usage');
  await boss.sees(/Times in (?:Etc\/)?UTC/);
  await boss.open('/portal/operate/requests');
  await boss.sees(/^\d{1,2} \w{3,4} 20\d\d, \d{2}:\d{2}:\d{2} UTC/);
  // What is typed is in that zone as well, on this page and in the dialogs of others.
  await boss.open('/portal/operate/requests?range=own');
  await boss.page.getByLabel('From').fill('2026-11-20T14:05:00');
  await boss.page.waitForURL(/since=2026-11-20T14%3A05%3A00\.000Z/);
  expect(await boss.page.getByLabel('From').inputValue()).toMatch(/^2026-11-20T14:05/);
  await boss.sees(/Times in (?:Etc\/)?UTC/);
  const before = new Date();
  await boss.page.goto(`${gate.url}/portal/operate/latency?period=hour`);
  const hour = (await boss.page.locator('.chart-times text').first().textContent()) ?? '';
  const now = new Date();
  expect([now.getUTCHours(), (before.getUTCHours() + 23) % 24, before.getUTCHours()], hour).toContain(
    Number(hour.slice(0, 2)),
  );
  await boss.open('/portal/operate/requests');
  // On paper the page is there, without what is only for pressing.
  await boss.page.emulateMedia({ media: 'print' });
  expect(await boss.page.getByRole('heading', { level: 1 }).isVisible()).toBe(true);
  for (const part of ['header', 'nav', 'main button:not(th button)'])
    expect([part, await boss.page.locator(part).locator('visible=true').count()]).toEqual([part, 0]);
  await boss.close();
});

test('what was refused in the last hour is known after a restart', async () => {
  const dataDir = temporaryDirectory();
  const environment = { UPSTREAM: fake.url, DATA_DIR: dataDir };
  const refusals = async (one: GateProcess, secret: string): Promise<unknown> => {
    const response = await fetch(`${one.url}/management/v1/overview`, { headers: { 'x-api-key': secret } });
    return ((await response.json()) as { refusals: unknown }).refusals;
  };
  const first = await spawnGate(environment);
  const { secret: reads } = await first.key({ scopes: ['management:read'] });
  const { secret } = await first.key({ models: ['other:*'] });
  for (let i = 0; i < 3; i++) await post(`${first.url}/api/chat`, secret, { model: 'gemma3:270m', messages: [] });
  // A stranger has no account, and so no record.
  for (let i = 0; i < 2; i++) await post(`${first.url}/api/chat`, 'sk-nobody', { model: 'gemma3:270m', messages: [] });
  const refused = [
    { code: 'model_not_found', count: 3 },
    { code: 'invalid_api_key', count: 2 },
  ];
  await eventually(async () => expect(await refusals(first, reads)).toEqual(refused));
  first.process.kill('SIGTERM');
  await first.ended;
  const second = await spawnGate(environment);
  expect(await refusals(second, reads)).toEqual(refused);
  second.process.kill('SIGTERM');
  await second.ended;
  rmSync(dataDir, { recursive: true, force: true });
});

test('backup codes can be copied and kept, and other sessions ended at once', async () => {
  const member = await memberOf(gate, 'guarded@lists.example');
  const other = new Visitor(gate.url);
  await other.auth('/sign-in/email', { email: 'guarded@lists.example', password: goodPassword });
  const reader = await readerOf(member, { width: 390 });
  await reader.open('/portal/me');
  await reader.press('Sign out everywhere else');
  await reader.sees('You are signed out everywhere else.');
  expect((await other.get('/session')).body.person).toBeNull();
  expect((await member.get('/session')).body.person).not.toBeNull();
  await reader.page.getByLabel('Your password *').fill(goodPassword);
  await reader.press('Set up');
  await reader.press('Copy the codes');
  const codes = await eventually(async () => {
    const copied = (await reader.page.evaluate<string>('navigator.clipboard.readText()')).split('\n');
    expect(copied).toHaveLength(10);
    return copied;
  });
  const [file] = await Promise.all([
    reader.page.waitForEvent('download'),
    reader.page.getByRole('link', { name: 'Download the codes' }).click(),
  ]);
  const kept = readFileSync(await file.path(), 'utf8');
  expect(kept).toContain('guarded@lists.example');
  expect(codes.filter((code) => !kept.includes(code))).toEqual([]);
  await eventually(async () => expect(await layoutFaults(reader.page)).toEqual([]));
  await reader.isSound();
  await reader.close();
});
