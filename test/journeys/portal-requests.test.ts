// The pages about requests in a real browser: a member finds what went wrong with a call of theirs, an operator finds it among
// everybody's and sees since when and how often, in both languages and widths.
import { afterAll, expect, test } from 'vitest';
import { type Look } from '../browser.ts';
import { eventually, post } from '../gate.ts';
import { openPages } from '../pages.ts';
import { memberOf, operatorOf } from '../visitor.ts';

const { fake, gate, readerOf, close } = await openPages();
afterAll(close);
const operator = await operatorOf(gate);
await operator.post('/plans', { name: 'short', like: 'default', requestsPerDay: 1 });
await operator.patch('/registration', { mode: 'open', plan: 'short' });
const member = await memberOf(gate, 'hanako@example.org');
const { body: key } = await member.post('/me/keys', { name: 'laptop' });
const call = async (): Promise<string> => {
  const messages = [{ role: 'user', content: 'x' }];
  const answer = await post(`${gate.url}/api/chat`, key.secret, { model: 'gemma3:270m', messages });
  await answer.text();
  return answer.headers.get('x-request-id') ?? '';
};
const servedId = await call();
const refusedId = await call();
await gate.ledger(2);

test('a member sees their requests, and which limit refused one', async () => {
  const reader = await readerOf(member);
  await reader.open('/portal/requests');
  await reader.page.locator(`a[title="${refusedId}"]`).click();
  await reader.sees('Refused by the limit Calls per day of the account.');
  await reader.sees('This account may use 1 call a day; 1 is used. The next day begins in');
  await reader.isSound();
  await reader.open(`/portal/requests/${servedId}`);
  await reader.sees('Waited for the answer to begin');
  // The server is the operator's.
  expect(await reader.page.content()).not.toContain(fake.url);
  await reader.open('/portal/requests/req_0TvcqqlEciUXBU3ekzdM');
  await reader.sees('There is no record of this request');
  await reader.close();
});

test('why a request was refused is said in Japanese, with its figures, and the sentence that was sent is named as such', async () => {
  const reader = await readerOf(member, { language: 'ja' });
  await reader.open(`/portal/requests/${refusedId}`);
  await reader.sees('このアカウントのリクエスト数の上限は、1日あたり1です。すでに1使われています。');
  const sent = reader.page.locator('pre[lang="en"]');
  expect(await sent.textContent()).toMatch(/^This account may use 1 call a day; 1 is used\./);
  await reader.sees('クライアントに返したメッセージ（原文）');
  await reader.isSound();
  await reader.close();
});

test('an operator narrows the log down, keeps it in the address, and exports exactly that', async () => {
  const reader = await readerOf(operator);
  await reader.open('/portal/operate/requests');
  await reader.page.locator(`a[title="${servedId}"]`).waitFor();
  await reader.press('More filters');
  // A code is found by what it means, a server by its name.
  await reader.page.getByRole('combobox', { name: 'Code' }).fill('quota is used');
  await reader.page.getByRole('option', { name: 'quota_exceeded The quota is used up.' }).click();
  await reader.page.locator(`a[title="${servedId}"]`).waitFor({ state: 'detached' });
  await reader.page.locator(`a[title="${refusedId}"]`).waitFor();
  expect(reader.page.url()).toContain('code=quota_exceeded');
  const href = await reader.page.getByRole('link', { name: 'Export these requests as CSV' }).getAttribute('href');
  const csv = await reader.page.evaluate((path) => fetch(path).then((answer) => answer.text()), href ?? '');
  expect(csv).toContain(refusedId);
  expect(csv).not.toContain(servedId);
  await reader.page.locator(`a[title="${refusedId}"]`).click();
  await reader.page.getByRole('heading', { name: 'Why it was refused' }).waitFor();
  await reader.page.goBack();
  await eventually(async () =>
    expect(await reader.page.getByRole('combobox', { name: 'Code' }).inputValue()).toBe('quota_exceeded'),
  );
  await reader.close();
});

test('an operator chooses a server by its name and a code by its Japanese text, or types what no list has', async () => {
  const { name } = (await operator.get('/servers')).body.items[0];
  const reader = await readerOf(operator, { language: 'ja' });
  const { page } = reader;
  await reader.open('/portal/operate/requests');
  await reader.press('条件を追加');
  await page.getByRole('combobox', { name: 'サーバー' }).fill(name);
  await page.getByRole('option', { name: `${name as string} ${fake.url}` }).click();
  await page.locator(`a[title="${refusedId}"]`).waitFor({ state: 'detached' });
  await page.locator(`a[title="${servedId}"]`).waitFor();
  expect(new URL(page.url()).searchParams.get('server')).toBe(fake.url);
  await page.getByRole('combobox', { name: 'サーバー' }).fill('http://removed:11434');
  await page.getByRole('option', { name: 'http://removed:11434 入力した値で検索' }).click();
  await reader.sees('条件に合うリクエストはありません。');
  await page.reload();
  await eventually(async () =>
    expect(await page.getByRole('combobox', { name: 'サーバー' }).inputValue()).toBe('http://removed:11434'),
  );
  await page.getByLabel('「サーバー」をクリア').click();
  await page.getByRole('combobox', { name: 'コード' }).fill('利用枠');
  await page.getByRole('option', { name: /^quota_exceeded/ }).click();
  await page.locator(`a[title="${servedId}"]`).waitFor({ state: 'detached' });
  await page.locator(`a[title="${refusedId}"]`).waitFor();
  await reader.close();
});

test.each<Required<Look>>([
  { language: 'en', scheme: 'light', width: 1440 },
  { language: 'ja', scheme: 'dark', width: 390 },
])('the log, a request and latency are sound in $language, $scheme, at $width px', async (look) => {
  const [inside, operating] = [await readerOf(member, look), await readerOf(operator, look)];
  for (const path of ['/requests', `/requests/${refusedId}`]) {
    await inside.open(`/portal${path}`);
    await inside.isSound();
  }
  for (const path of ['/requests?minDurationMs=0&range=own', `/requests/${servedId}`, '/latency?period=hour']) {
    await operating.open(`/portal/operate${path}`);
    if (path.startsWith('/latency')) {
      await operating.page.locator('.chart svg').first().waitFor();
      await operating.sees('quota_exceeded');
    }
    await operating.isSound();
  }
  await Promise.all([inside.close(), operating.close()]);
});
