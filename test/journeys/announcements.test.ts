// Announcements: people see them on every page until they dismiss them, callers in a header if the operator wants it.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBrowser, Reader } from '../browser.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, inTime, openGate, sekisho, type TestGate, withinASecond } from '../gate.ts';
import { memberOf, operatorOf, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let browser: Browser;
let operator: Visitor;
let secret: string;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { CORS_ORIGINS: 'https://app.example.com', STATUS_PAGE: 'on' });
  operator = await operatorOf(gate);
  await operator.patch('/registration', { mode: 'open' });
  ({ secret } = await gate.member({}));
  browser = await openBrowser();
});
afterAll(async () => {
  await browser.close();
  await gate.stop();
  await fake.close();
});

const call = (key = secret): Promise<Response> =>
  fetch(`${gate.url}/v1/models`, { headers: { 'x-api-key': key, origin: 'https://app.example.com' } });
const header = async (key?: string): Promise<string | null> => (await call(key)).headers.get('x-sekisho-announcement');
const idsFor = async (visitor: Visitor): Promise<string[]> =>
  (await visitor.get('/session')).body.announcements.map((each: { id: string }) => each.id);

test('callers with a key get the newest announcement that wants a header, in its time, and nobody else does', async () => {
  const text = 'Ada said: "a", b\t; 100 % – 新しい';
  expect(await header()).toBeNull();
  const { body: quiet } = await operator.post('/announcements', { en: 'Quiet.' });
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const { body: future } = await operator.post('/announcements', { en: 'Later.', from: later, header: true });
  const made = await inTime(3_000, async (lifeMs) => {
    const until = new Date(Date.now() + lifeMs).toISOString();
    const { body } = await operator.post('/announcements', { en: text, ja: '正午', until, header: true });
    await withinASecond(async () => expect(await header()).not.toBeNull());
    const [en = '', ja = '', ...others] = ((await header()) ?? '').split(', ');
    expect(others).toEqual([]);
    expect(decodeURIComponent(en.replace("UTF-8'en'", ''))).toBe(text.replace('\t', ' '));
    expect(decodeURIComponent(ja.replace("UTF-8'ja'", ''))).toBe('正午');
    expect((await call()).headers.get('access-control-expose-headers')).toContain('X-Sekisho-Announcement');
    return body as { readonly id: string };
  });
  expect(await header('sekisho_000000000000_x')).toBeNull();
  // It ends by itself.
  await eventually(async () => expect(await header()).toBeNull());
  for (const { id } of [quiet, future, made]) expect((await operator.delete(`/announcements/${id}`)).status).toBe(204);
});

test('a person who dismisses one does not see it again, and everybody else still does', async () => {
  const [ada, ben] = [await memberOf(gate, 'ada@example.org'), await memberOf(gate, 'ben@example.org')];
  const { body: made } = await operator.post('/announcements', { ja: '明日は休みです。' });
  expect([await idsFor(ada), await idsFor(ben), await idsFor(new Visitor(gate.url))]).toEqual([
    [made.id],
    [made.id],
    [],
  ]);
  for (let times = 0; times < 2; times++)
    expect((await ada.post(`/me/announcements/${made.id}/dismiss`)).status).toBe(204);
  expect((await ada.post('/me/announcements/ann_nothing/dismiss')).status).toBe(404);
  expect((await new Visitor(gate.url).post(`/me/announcements/${made.id}/dismiss`)).status).toBe(401);
  expect((await ada.patch(`/announcements/${made.id}`, { ja: 'x' })).status).toBe(403);
  expect([await idsFor(ada), await idsFor(ben)]).toEqual([[], [made.id]]);
  expect((await operator.delete(`/announcements/${made.id}`)).status).toBe(204);
  expect(await idsFor(ben)).toEqual([]);
});

test('texts that are empty, too long or not plain, and times in the past are refused', async () => {
  const invalid = [
    {},
    { en: '', ja: '' },
    { en: 'x'.repeat(501) },
    { en: 'a\u202eb' },
    { en: 'a\0b' },
    { en: 'x', until: '2020-01-01T00:00:00Z' },
    { en: 'x', from: '2099-01-02T00:00:00Z', until: '2099-01-01T00:00:00Z' },
    { ja: '長'.repeat(300), header: true },
  ];
  for (const body of invalid) {
    const { status } = await operator.post('/announcements', body);
    expect([JSON.stringify(body).slice(0, 80), status]).toEqual([JSON.stringify(body).slice(0, 80), 400]);
  }
  expect((await operator.get('/announcements')).body.items).toEqual([]);
});

test('the command makes, changes, lists and deletes them, each with an event', async () => {
  const run = (...words: string[]) => sekisho(['announcement', ...words], { DATA_DIR: gate.dataDir });
  const { id } = JSON.parse((await run('create', '--en', 'Hello.', '--until', '2d', '--header', '--json')).out) as {
    id: string;
  };
  const changed = await run('set', id, '--ja', 'どうも', '--until', 'none', '--no-header', '--json');
  expect(JSON.parse(changed.out)).toMatchObject({ en: 'Hello.', ja: 'どうも', until: null, header: false, version: 2 });
  expect((await run('list')).out).toContain('どうも');
  expect((await run('delete', id, '--yes')).out).toBe(`The announcement ${id} is deleted.\n`);
  const events = await gate.manage((store) => store.listAudit({ limit: 3 }));
  expect(events.map(({ action, subject }) => [action, subject])).toEqual([
    ['announcement.delete', id],
    ['announcement.set', id],
    ['announcement.create', id],
  ]);
});

test('an operator writes one on the page; a member sees the banner in their language and dismisses it for good', async () => {
  const member = await memberOf(gate, 'cyd@example.org');
  const readerOf = async (visitor: Visitor, width: number, language: 'en' | 'ja'): Promise<Reader> => {
    const reader = await Reader.at(browser, gate.url, { width, language });
    await reader.signInAs(visitor);
    return reader;
  };
  const desk = await readerOf(operator, 1440, 'en');
  await desk.open('/portal/operate/notices');
  await desk.press('New announcement');
  const dialog = desk.page.getByRole('dialog');
  await dialog.getByLabel('Text in English').fill('<b>Back</b> at noon.');
  await dialog.getByLabel('Text in Japanese').fill('正午に再開します。');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await desk.sees('active');
  await desk.page.getByLabel('Message', { exact: true }).fill('New disks.');
  await desk.press('Start maintenance');
  await desk.sees('Maintenance: no new calls');
  await desk.isSound();

  const reader = await readerOf(member, 390, 'ja');
  await reader.open('/portal/keys');
  await reader.sees('正午に再開します。');
  await reader.sees('メンテナンス中：新しいリクエストは受け付けていません');
  await reader.sees('New disks.');
  await reader.isSound();
  await reader.page.getByRole('button', { name: '今後表示しない' }).click();
  await eventually(async () => expect(await reader.page.getByText('正午に再開します。').count()).toBe(0));
  await reader.open('/portal/usage');
  await reader.sees('New disks.');
  expect(await reader.page.getByText('正午に再開します。').count()).toBe(0);
  await reader.close();

  await desk.press('End maintenance');
  await desk.sees('Maintenance is off.');
  // Plain text stays plain.
  await eventually(async () => expect(await desk.page.getByText('<b>Back</b> at noon.').count()).toBe(2));
  await desk.close();
});

test('a stranger reads the status page in either language, and it is sound', async () => {
  for (const [width, language, title, works] of [
    [1440, 'en', 'Status', 'operational'],
    [390, 'ja', '稼働状況', '稼働中'],
  ] as const) {
    const reader = await Reader.at(browser, gate.url, { width, language });
    await reader.open('/portal/sign-in');
    await reader.page.getByRole('link', { name: language === 'ja' ? 'サービスの稼働状況' : 'Service status' }).click();
    await reader.page.getByRole('heading', { name: title }).waitFor();
    await reader.sees(works);
    await reader.sees('gemma3:270m');
    await reader.isSound();
    await reader.close();
  }
});
