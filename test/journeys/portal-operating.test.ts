// What helps an operator with many things at once, in a real browser: badges, the audit log, choosing accounts, actions on
// several rows, models and the palette, in both languages and widths.
import { rmSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { auditEvent } from '../../src/domain/audit.ts';
import { createAccount } from '../../src/management/accounts/accounts.ts';
import type { Reader } from '../browser.ts';
import { eventually, type GateProcess, spawnGate, temporaryDirectory } from '../gate.ts';
import { layoutFaults } from '../layout.ts';
import { openPages } from '../pages.ts';
import { goodPassword, memberOf, operatorOf, type Reply, Visitor } from '../visitor.ts';

const author = { actor: 'cli:test', at: Date.now() };

const { fake, gate, readerOf, close } = await openPages({ APPLICATIONS_PER_MINUTE: '1000', TIME_ZONE: 'UTC' });
afterAll(close);
const operator = await operatorOf(gate);
await operator.patch('/registration', { mode: 'approval', plan: 'default' });

/** Whole, sound, and nothing beyond an edge. */
async function isFine(reader: Reader): Promise<void> {
  await eventually(async () => expect(await layoutFaults(reader.page)).toEqual([]));
  await reader.isSound();
}

const apply = (name: string): Promise<unknown> =>
  new Visitor(gate.url).post('/applications', {
    name,
    email: `${name.toLowerCase()}@operating.example`,
    purpose: 'a test',
    password: goodPassword,
  });

test('what waits for an operator is counted on the navigation, live, at both widths and in both languages', async () => {
  await apply('Ann');
  const wide = await readerOf(operator);
  await wide.page.clock.install();
  await wide.open('/portal/operate/plans');
  await wide.page.getByRole('link', { name: 'Applications 1 application is waiting' }).waitFor();
  await apply('Ben');
  const account = (await operator.post('/accounts', { name: 'appealing' })).body;
  const key = (await operator.post('/keys', { name: 'laptop', account: account.id })).body;
  const step = (await operator.post('/suspensions', { whom: account.id, step: 'warn', reason: 'x' })).body;
  const appeal = `/management/v1/suspensions/${step.id as string}/appeal`;
  const headers = { 'x-api-key': key.secret as string };
  await new Visitor(gate.url).ask('POST', appeal, { body: { text: 'No' }, headers });
  await wide.page.clock.runFor(11_000);
  await wide.page.getByRole('link', { name: 'Applications 2 applications are waiting' }).waitFor();
  await wide.page.getByRole('link', { name: 'Suspensions 1 appeal is waiting for an answer' }).waitFor();
  await isFine(wide);
  const narrow = await readerOf(operator, { width: 390, language: 'ja', scheme: 'dark' });
  await narrow.open('/portal/operate/applications');
  await narrow.press('メニュー（対応待ち：3件）');
  await narrow.page.getByRole('link', { name: '承認待ちの申請：2件' }).waitFor();
  await isFine(narrow);
  // What is decided on the page is gone from the badge at once.
  await wide.page.clock.resume();
  await wide.open('/portal/operate/applications');
  await wide.page.getByRole('button', { name: 'Approve', exact: true }).first().click();
  await wide.page.getByRole('link', { name: 'Applications 1 application is waiting' }).waitFor();
  await Promise.all([wide.close(), narrow.close()]);
});

test('the audit log is narrowed down by who, what, words and time, kept in the address, and exported exactly', async () => {
  const { body: plan } = await operator.post('/plans', { name: 'audited', like: 'default' });
  await operator.patch(`/plans/${plan.name as string}`, { tokensPerDay: 4_711_000 });
  const { body: formula } = await operator.post('/accounts', { name: '=cmd|calc' });
  const reader = await readerOf(operator);
  await reader.open('/portal/operate/audit');
  await reader.sees('=cmd|calc');
  await reader.page.getByLabel('Contains').fill('4711000');
  await reader.page.getByText('=cmd|calc').first().waitFor({ state: 'detached' });
  await reader.page.getByLabel('Changed by').fill('operator-1@');
  await reader.page.getByRole('combobox', { name: 'Action' }).click();
  await reader.page.getByRole('option', { name: 'plan.set' }).click();
  await reader.page.getByRole('radiogroup', { name: 'Time range' }).getByText('Last hour').click();
  await eventually(() => {
    const { searchParams } = new URL(reader.page.url());
    expect(Object.fromEntries(searchParams)).toEqual({
      text: '4711000',
      actor: 'operator-1@',
      action: 'plan.set',
      range: 'hour',
    });
  });
  await eventually(async () => expect(await reader.page.getByRole('listitem').count()).toBe(1));
  const fetched = async (name: string): Promise<string> => {
    const href = await reader.page.getByRole('link', { name }).getAttribute('href');
    return reader.page.evaluate((path) => fetch(path).then((answer) => answer.text()), href ?? '');
  };
  const lines = (await fetched('Export these changes as JSON Lines')).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    {
      action: 'plan.set',
      subject: 'audited',
      to: { tokensPerDay: 4_711_000 },
      actorName: expect.any(String) as string,
    },
  ]);
  await isFine(reader);
  // A row leads to all of its values, and Back to the same rows.
  await reader.page.getByRole('listitem').getByRole('link').click();
  await reader.page.getByRole('cell', { name: '4711000' }).waitFor();
  await isFine(reader);
  await reader.page.goBack();
  await eventually(async () => expect(await reader.page.getByLabel('Contains').inputValue()).toBe('4711000'));
  await reader.press('Clear filters');
  await reader.page.getByLabel('What or whose').fill(formula.id as string);
  await eventually(async () => expect(await reader.page.getByRole('listitem').count()).toBe(1));
  const csv = await fetched('Export these changes as CSV');
  expect(csv).toMatch(/^id,at,actor,actorName,action,subject,subjectName,from,to\r\n/);
  expect(csv).toContain(",'=cmd|calc,");
  expect(csv.trim().split('\r\n')).toHaveLength(2);
  await reader.close();

  const narrow = await readerOf(operator, { width: 390, language: 'ja', scheme: 'dark' });
  await narrow.open('/portal/operate/audit?action=plan&range=own&since=2026-01-01T00:00:00.000Z');
  await narrow.page.getByRole('listitem').first().waitFor();
  await isFine(narrow);
  await narrow.page.getByRole('listitem').first().getByRole('link').click();
  await narrow.page.getByRole('heading', { name: '変更の詳細' }).waitFor();
  await isFine(narrow);
  await narrow.close();
});

test('accounts are chosen by name, address or id among a thousand, with the keyboard, wherever one is asked for', async () => {
  const made = await gate.manage(async (store) => {
    const accounts = [];
    for (let i = 0; i < 1_000; i++) accounts.push(await createAccount(store, `Person ${i}`, undefined, author));
    return accounts;
  });
  const wanted = made[987]!;
  const { body: twin } = await operator.post('/accounts', { name: 'Person 98七' });
  const { body: key } = await operator.post('/keys', { name: 'night job', account: wanted.id });
  const { items } = (await operator.get('/find?search=Person%2098&limit=5')).body;
  expect(items[0]).toMatchObject({ kind: 'account', name: 'Person 98' });
  expect((await operator.get(`/find?search=${key.id as string}`)).body.items).toMatchObject([
    { kind: 'key', name: 'night job', of: 'Person 987', ended: false },
  ]);
  const ids = `${wanted.id},${twin.id as string},acc_nothing,${key.id as string}`;
  expect((await operator.get(`/find?ids=${ids}`)).body.items).toHaveLength(3);

  const reader = await readerOf(operator);
  const { page } = reader;
  await reader.open('/portal/operate/requests');
  const account = page.getByRole('combobox', { name: 'Account' });
  await account.fill('rson 987');
  await page.getByRole('option', { name: 'Person 987' }).waitFor();
  await account.press('ArrowDown');
  await account.press('Enter');
  await eventually(() => expect(new URL(page.url()).searchParams.get('account')).toBe(wanted.id));
  // A link shows the name as well.
  await reader.open(`/portal/operate/requests?account=${wanted.id}`);
  await eventually(async () =>
    expect(await page.getByRole('combobox', { name: 'Account' }).inputValue()).toBe('Person 987'),
  );
  await reader.open('/portal/operate/suspensions');
  await reader.press('Restrict an account or key');
  const whom = page.getByRole('combobox', { name: /^Account or key/ });
  await whom.fill('night');
  await page.getByRole('option', { name: 'night job Key · Person 987' }).click();
  await page.getByLabel(/^Reason/).fill('So that there is one');
  await page.getByRole('dialog').getByRole('button', { name: 'Apply' }).click();
  await eventually(async () =>
    expect((await operator.get(`/suspensions?account=${wanted.id}`)).body.items).toHaveLength(1),
  );
  await reader.open('/portal/operate/plans/default');
  await page.getByRole('combobox', { name: 'Account' }).fill('nobody is called so');
  await reader.sees('Nothing found');
  await isFine(reader);
  await reader.close();
  await gate.manage(async (store) => {
    for (const { id } of made.slice(3))
      await store.closeAccount(id, Date.now(), auditEvent(author, 'x', id, null, null));
  });
});

test('several keys and accounts are changed by one request each, with names and number, and every failure is told', async () => {
  const account = async (name: string): Promise<{ readonly id: string }> =>
    (await operator.post('/accounts', { name })).body;
  const [a, b, c] = [await account('Bulk A'), await account('Bulk B'), await account('Bulk C')];
  const keys: { id: string; secret: string }[] = [];
  for (const { id } of [a, b, c]) keys.push((await operator.post('/keys', { name: 'bulk key', account: id })).body);
  const reader = await readerOf(operator);
  const { page } = reader;
  await reader.open('/portal/operate/keys');
  await page.getByRole('searchbox').fill('Bulk');
  await page.getByRole('checkbox', { name: 'Select all 3 that are shown' }).check();
  await reader.press('Revoke');
  const dialog = page.getByRole('dialog');
  await dialog.getByText('bulk key (Bulk C)').waitFor();
  expect(await dialog.getByRole('button', { name: 'Revoke' }).isDisabled()).toBe(true);
  await isFine(reader);
  await dialog.getByLabel('Type “3” to confirm').fill('3');
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await reader.sees('Done for 3.');
  for (const { id } of keys) {
    expect((await operator.get(`/keys/${id}`)).body.status).toBe('revoked');
    const { items } = (await operator.get(`/audit?subject=${id}&action=key.revoke`)).body;
    expect(items).toHaveLength(1);
  }
  await reader.close();

  // On a phone, in Japanese: one of the three is closed meanwhile by somebody else.
  const phone = await readerOf(operator, { width: 390, language: 'ja', scheme: 'dark' });
  await phone.open('/portal/operate/accounts');
  await phone.page.getByRole('searchbox').fill('Bulk');
  await phone.page.getByRole('checkbox', { name: '「Bulk A」を選択' }).check();
  await phone.page.getByRole('checkbox', { name: '「Bulk C」を選択' }).check();
  await phone.sees('2件を選択中');
  await isFine(phone);
  await operator.delete(`/accounts/${c.id}`);
  await phone.press('利用停止');
  await phone.page.getByRole('dialog').getByRole('textbox').first().fill('試験');
  await phone.page.getByRole('dialog').getByRole('button', { name: '利用停止' }).click();
  await phone.sees('1件は処理できませんでした');
  await phone.sees('1件を処理しました。');
  await isFine(phone);
  await phone.close();
  expect((await operator.get(`/accounts/${a.id}`)).body.inForce).toMatchObject([{ step: 'suspend' }]);

  const bulk = (body: object): Promise<Reply> => operator.post('/accounts/bulk', body);
  expect((await bulk({ action: 'suspend', ids: [a.id], reason: 'x' })).body.items).toMatchObject([
    { done: false, problem: { code: 'conflict', reason: 'account_suspended', parameters: { account: 'Bulk A' } } },
  ]);
  expect((await bulk({ action: 'restore', ids: [a.id, b.id, a.id] })).body.items).toMatchObject([
    { id: a.id, done: true, problem: null },
    { id: b.id, done: false, problem: { reason: 'account_unrestricted' } },
  ]);
  expect((await bulk({ action: 'plan', ids: [a.id, b.id], plan: 'trial' })).body.items).toMatchObject([
    { done: true },
    { done: true },
  ]);
  expect((await bulk({ action: 'plan', ids: [a.id, 'acc_nothing'], plan: 'no-such' })).body.items).toMatchObject([
    { done: false, problem: { code: 'not_found', reason: 'plan_missing' } },
    { done: false, problem: { code: 'not_found', reason: 'account_missing' } },
  ]);
  // Two at once: each account is closed once, and one event tells of it.
  const both = await Promise.all([1, 2].map(() => bulk({ action: 'close', ids: [a.id, b.id] })));
  const done = both.filter(({ status }) => status === 200).flatMap(({ body }) => body.items as { done: boolean }[]);
  expect(done.filter((each) => each.done)).toHaveLength(2);
  for (const { id } of [a, b])
    expect((await operator.get(`/audit?subject=${id}&action=account.close`)).body.items).toHaveLength(1);
  const tooMany = Array.from({ length: 101 }, (_, i) => `acc_x${i}`);
  for (const ids of [[], tooMany, ['key_x']]) expect((await bulk({ action: 'close', ids })).status).toBe(400);
});

test('Ctrl-K jumps to a page, an account, a key, a model or a request; members find their own pages and keys', async () => {
  const { body: account } = await operator.post('/accounts', { name: 'Palette person' });
  await operator.post('/keys', { name: 'palette key', account: account.id });
  const reader = await readerOf(operator);
  const { page } = reader;
  await reader.open('/portal/operate/plans');
  const jump = async (text: string, option: string | RegExp): Promise<string> => {
    await page.keyboard.press('Control+k');
    const field = page.getByRole('combobox', { name: 'Search everything (Ctrl K)' });
    await field.fill(text);
    await page.getByRole('option', { name: option }).first().waitFor();
    if (text === 'palette person') await isFine(reader);
    await eventually(async () =>
      expect(await page.getByRole('dialog').locator('[role=option][aria-selected=true]').innerText()).toMatch(option),
    );
    await field.press('Enter');
    await field.waitFor({ state: 'detached' });
    return new URL(page.url()).pathname + new URL(page.url()).search;
  };
  expect(await jump('latenc', /Latency/)).toBe('/portal/operate/latency');
  expect(await jump('palette person', /Palette person/)).toBe(`/portal/operate/accounts/${account.id as string}`);
  expect(await jump('palette key', /palette key/)).toMatch(/^\/portal\/operate\/keys\?q=key_/);
  expect(await jump('gemma3:270', /gemma3:270m/)).toBe('/portal/operate/models?q=gemma3%3A270m');
  expect(await jump('req_0TvcqqlEciUXBU3ekzdM', /req_/)).toBe('/portal/operate/requests/req_0TvcqqlEciUXBU3ekzdM');
  await reader.close();

  await operator.patch('/registration', { mode: 'open' });
  const member = await memberOf(gate, 'palette@operating.example');
  await operator.patch('/registration', { mode: 'approval' });
  await member.post('/me/keys', { name: 'my own key' });
  const phone = await readerOf(member, { width: 390, language: 'ja', scheme: 'dark' });
  await phone.open('/portal/usage');
  await phone.press('すべてを検索（Ctrl K）');
  const field = phone.page.getByRole('combobox', { name: 'すべてを検索（Ctrl K）' });
  await field.fill('palette');
  await phone.sees('見つかりません');
  await field.fill('my own');
  await phone.page.getByRole('option', { name: /my own key/ }).waitFor();
  await isFine(phone);
  await phone.close();
});

test('a preview of a call that the plan never allows says how much is asked for and how much is allowed', async () => {
  await operator.post('/plans', { name: 'idle', like: 'default', concurrentRequests: 0 });
  const asked = { plan: 'idle', path: '/api/chat', model: 'gemma3:270m' };
  expect((await operator.post('/preview', asked)).body).toMatchObject({
    code: 'beyond_plan',
    figures: { needed: 1, most: 0 },
  });
  const reader = await readerOf(operator);
  await reader.open('/portal/operate/plans/idle');
  await reader.press('Check');
  await reader.sees('It asks for 1; 0 is allowed.');
  await reader.close();
});

const isPull = ({ url }: { readonly url: string }): boolean => url === '/api/pull';
/** The next pull has come to a quarter, and stays there. */
const holdPull = (): void =>
  fake.next(async (_, answer) => {
    answer.head(200, { 'Content-Type': 'application/x-ndjson' });
    await answer.chunk('{"status":"pulling abc","digest":"sha256:abc","total":1000000000,"completed":250000000}\n');
  }, isPull);

test('models show what is in memory, are unloaded, and a pull goes on without a page until somebody cancels it', async () => {
  const wide = await readerOf(operator);
  await wide.open('/portal/operate/models');
  const row = wide.page.getByRole('row').filter({ hasText: 'gemma3:270m' });
  await row.getByText('In memory').waitFor();
  await row.getByRole('button', { name: 'Details' }).click();
  await wide.page.getByRole('dialog').getByText('Longest context').waitFor();
  await isFine(wide);
  await wide.page.keyboard.press('Escape');
  const unload = fake.arrival(({ url }) => url === '/api/generate');
  await row.getByRole('button', { name: 'Unload' }).click();
  expect(JSON.parse((await (await unload).body).toString())).toEqual({ model: 'gemma3:270m', keep_alive: 0 });
  holdPull();
  await wide.fill('Name *', 'qwen3:1b');
  await wide.press('Pull');
  await wide.sees('Downloading: 250 MB of 1 GB');
  await isFine(wide);
  await wide.close();
  // Another operator sees it on a phone.
  const phone = await readerOf(await operatorOf(gate), { language: 'ja', width: 390, scheme: 'dark' });
  await phone.open('/portal/operate/models');
  await phone.sees('ダウンロード中：250 MB / 1 GB');
  await isFine(phone);
  await phone.page.getByRole('button', { name: /^中止：qwen3:1b/ }).click();
  await phone.page.getByRole('listitem').filter({ hasText: 'qwen3:1b' }).getByText('中止', { exact: true }).waitFor();
  await phone.close();
});

test('a pull that a kill of the gateway cut off is told as interrupted, and can be started again', async () => {
  const dataDir = temporaryDirectory();
  const environment = { UPSTREAM: fake.url, DATA_DIR: dataDir };
  const first = await spawnGate(environment);
  const { secret } = await first.key({ scopes: ['management'] });
  const headers = { 'x-api-key': secret, 'content-type': 'application/json' };
  const pull = async (one: GateProcess): Promise<number> => {
    const body = JSON.stringify({ model: 'llama3:8b' });
    return (await fetch(`${one.url}/management/v1/pulls`, { method: 'POST', headers, body })).status;
  };
  const states = async (one: GateProcess): Promise<string[]> => {
    const { items } = (await (await fetch(`${one.url}/management/v1/pulls`, { headers })).json()) as {
      items: { state: string }[];
    };
    return items.map(({ state }) => state);
  };
  holdPull();
  const begun = fake.arrival(isPull);
  await eventually(async () => expect(await pull(first)).toBe(200));
  await begun;
  first.process.kill('SIGKILL');
  await first.ended;
  const second = await spawnGate(environment);
  expect(await states(second)).toEqual(['interrupted']);
  expect(await pull(second)).toBe(200);
  await eventually(async () => expect(await states(second)).toEqual(['done', 'interrupted']));
  second.process.kill('SIGTERM');
  await second.ended;
  rmSync(dataDir, { recursive: true, force: true });
});
