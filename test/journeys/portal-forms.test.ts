// What the gateway refuses in a form, in a real browser: said at the field that it is about, with the focus on it, and gone once it is right.
import type { Locator } from 'playwright-core';
import { afterAll, expect, test } from 'vitest';
import { Reader } from '../browser.ts';
import { eventually } from '../gate.ts';
import { layoutFaults } from '../layout.ts';
import { openPages } from '../pages.ts';
import { operatorOf } from '../visitor.ts';

const { gate, browser, close } = await openPages();
afterAll(close);
const operator = await operatorOf(gate);

test.each([
  [1440, 'en'],
  [390, 'ja'],
] as const)('what is wrong with a field stands at that field (%i px, %s)', async (width, language) => {
  const words = (en: string, ja: string): string => (language === 'ja' ? ja : en);
  const reader = await Reader.at(browser, gate.url, { width, language });
  await reader.signInAs(operator);
  const { page } = reader;
  const dialog = page.getByRole('dialog');
  /** The field is the only one that is invalid, says why, has the focus, and nothing else says it. */
  const isAt = async (field: Locator, why: RegExp): Promise<void> => {
    await eventually(async () => expect(await field.getAttribute('aria-invalid')).toBe('true'));
    const told = await field.getAttribute('aria-describedby');
    const texts = (told ?? '')
      .split(' ')
      .filter((id) => id !== '')
      .map((id) => page.locator(`[id="${id}"]`).innerText());
    expect((await Promise.all(texts)).join(' ')).toMatch(why);
    await eventually(async () => expect(await page.locator('form [aria-invalid="true"]').count()).toBe(1));
    await eventually(async () => expect(await page.locator(':focus').getAttribute('aria-invalid')).toBe('true'));
    expect(await page.locator('.mantine-Notification-root').count()).toBe(0);
    await eventually(async () => expect(await layoutFaults(page)).toEqual([]));
    expect(reader.wrong).toEqual([]);
  };
  const field = (en: string, ja: string, within: Locator = page.getByRole('main')) =>
    within.getByLabel(words(en, ja)).first();

  await reader.open('/portal/operate/plans/trial');
  const most = page.getByRole('main').getByLabel(words('Maximum answer, in tokens', '応答の最大トークン数')).last();
  await most.fill('2000000000000000');
  await page
    .getByRole('main')
    .getByRole('button', { name: words('Save', '保存'), exact: true })
    .click();
  await isAt(most, /1,?000,?000,?000,?000,?000/);
  await most.fill(String(4096 + width));
  await page
    .getByRole('main')
    .getByRole('button', { name: words('Save', '保存'), exact: true })
    .click();
  await eventually(async () => expect(await most.getAttribute('aria-invalid')).not.toBe('true'));
  const { version } = (await operator.get('/plans/trial')).body;
  expect((await operator.get('/plans/trial')).body, `version ${version}`).toMatchObject({
    maxOutputTokens: 4096 + width,
  });

  await reader.open('/portal/operate/plans');
  await reader.press(words('New plan', '新しいプラン'));
  await dialog.getByRole('textbox').first().fill('trial');
  await dialog.getByRole('button', { name: words('New plan', '新しいプラン') }).click();
  await isAt(dialog.getByRole('textbox').first(), /trial/);

  await reader.open('/portal/operate/rules');
  await reader.press(words('New rule', '新しいルール'));
  await field('Name', '名前', dialog).fill('busy-hour');
  await dialog.getByRole('button', { name: words('Save', '保存') }).click();
  await isAt(field('Name', '名前', dialog), /busy-hour/);
  await field('Name', '名前', dialog).fill(`long-${width}`);
  await field('Window', '期間', dialog).fill('900');
  await dialog.getByRole('button', { name: words('Save', '保存') }).click();
  await isAt(field('Window', '期間', dialog), /2,?678,?400/);

  await reader.open('/portal/operate/servers');
  await page
    .getByRole('main')
    .getByRole('button', { name: words('Add a server', 'サーバーを追加') })
    .first()
    .click();
  await field('Name', '名前', dialog).fill('all');
  await dialog.locator('input[type=url]').fill('http://127.0.0.1:9999');
  await dialog.getByRole('button', { name: words('Add a server', 'サーバーを追加') }).click();
  await isAt(field('Name', '名前', dialog), /all/);

  await reader.open('/portal/operate/services');
  await reader.press(words('Publish a service', 'サービスを公開'));
  await field('Name', '名前', dialog).fill('search');
  await dialog
    .getByRole('textbox')
    .last()
    .fill('{"path": "/search", "upstreams": ["http://127.0.0.1:9"], "methods": ["FLY"]}');
  await dialog.getByRole('button', { name: words('Save', '保存') }).click();
  await isAt(dialog.getByRole('textbox').last(), /methods/i);

  await reader.open('/portal/operate/model-names');
  await page
    .getByRole('main')
    .getByRole('button', { name: words('Add a name', '名前を追加') })
    .first()
    .click();
  await field('Name', '名前', dialog).fill('lonely');
  await dialog.getByRole('button', { name: words('Add a name', '名前を追加') }).click();
  await isAt(field('Stands for', '対応するモデル', dialog), /lonely/);

  await reader.open('/portal/operate/settings');
  const form = page.getByRole('region', { name: words('Access', 'アクセス') });
  const origins = field('Origins of web pages', 'リクエストを許可するWebページ', form);
  await origins.fill('nonsense');
  await form.getByRole('button', { name: words('Save', '保存'), exact: true }).click();
  await isAt(origins, /https:\/\/example\.org/);
  await reader.close();
});

test('two tabs that edit one plan: the second is told, keeps what was typed, and loses nothing of the first', async () => {
  const reader = await Reader.at(browser, gate.url);
  await reader.signInAs(operator);
  const { page } = reader;
  await reader.open('/portal/operate/plans/trusted');
  const main = page.getByRole('main');
  const most = main.getByLabel('Maximum answer, in tokens').last();
  await most.fill('5151');
  const scopes = main.getByLabel('Scopes', { exact: false }).last();
  await scopes.fill('inference:chat, metadata');
  const { body: before } = await operator.get('/plans/trusted');
  expect((await operator.patch('/plans/trusted', { maxKeys: before.maxKeys + 1 })).status).toBe(200);
  // Coming back to the tab asks for everything again.
  await page.evaluate(
    "document.dispatchEvent(new Event('visibilitychange')); window.dispatchEvent(new Event('focus'))",
  );
  await main.getByRole('button', { name: 'Save', exact: true }).click();
  await main
    .getByRole('alert')
    .filter({ hasText: /changed/i })
    .first()
    .waitFor();
  expect(await most.inputValue()).toBe('5,151');
  expect(await scopes.inputValue()).toBe('inference:chat, metadata');
  await eventually(async () =>
    expect(await main.getByLabel('Keys', { exact: true }).last().inputValue()).toBe(String(before.maxKeys + 1)),
  );
  await main.getByRole('button', { name: 'Save', exact: true }).click();
  await reader.sees('Plan saved.');
  expect((await operator.get('/plans/trusted')).body).toMatchObject({
    maxOutputTokens: 5151,
    maxKeys: before.maxKeys + 1,
    scopes: ['inference:chat', 'metadata'],
  });
  // Saved: leaving asks nothing; changed again, it asks.
  await most.fill('5252');
  await page.getByRole('navigation').getByRole('link', { name: 'Rules' }).click();
  await page.getByRole('dialog', { name: 'Leave without saving?' }).getByRole('button', { name: 'Cancel' }).click();
  expect(await most.inputValue()).toBe('5,252');
  await reader.close();
});

test('a save while the network is away is refused at once, keeps what was typed, and is not sent later', async () => {
  const reader = await Reader.at(browser, gate.url);
  await reader.signInAs(operator);
  const { page, context } = reader;
  await reader.open('/portal/operate/plans/trusted');
  const main = page.getByRole('main');
  const most = main.getByLabel('Maximum answer, in tokens').last();
  const save = main.getByRole('button', { name: 'Save', exact: true });
  const { body: before } = await operator.get('/plans/trusted');
  await most.fill('6161');
  await context.setOffline(true);
  await save.click();
  const away = page.getByRole('alert').filter({ hasText: 'You see what was loaded before' });
  await away.waitFor();
  await eventually(async () => expect(await save.getAttribute('data-loading')).toBeNull());
  expect(await most.inputValue()).toBe('6,161');
  await context.setOffline(false);
  await away.waitFor({ state: 'detached' });
  expect((await operator.get('/plans/trusted')).body).toEqual(before);
  await save.click();
  await reader.sees('Plan saved.');
  expect((await operator.get('/plans/trusted')).body.maxOutputTokens).toBe(6161);
  await reader.close();
});
