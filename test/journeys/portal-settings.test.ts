// The page of settings in a browser: changed, tried out and taken back by an operator, and what the appearance does to every page.
import { mkdirSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBrowser, Reader } from '../browser.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate } from '../gate.ts';
import { layoutFaults } from '../layout.ts';
import { type Mailbox, openMailbox } from '../mailbox.ts';
import { operatorOf, type Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let browser: Browser;
let operator: Visitor;
let mailbox: Mailbox;
beforeAll(async () => {
  [fake, mailbox] = await Promise.all([startFakeOllama(), openMailbox()]);
  gate = await openGate(fake.url, { QUEUE_LENGTH: '7' });
  [operator, browser] = await Promise.all([operatorOf(gate), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await Promise.all([gate.stop(), fake.close(), mailbox.close()]);
});

async function readerOf(look: Parameters<typeof Reader.at>[2]): Promise<Reader> {
  const reader = await Reader.at(browser, gate.url, look);
  await reader.signInAs(operator);
  return reader;
}

const shots = process.env['SETTINGS_SHOTS'];
async function shoot(reader: Reader, name: string): Promise<void> {
  if (shots === undefined) return;
  mkdirSync(shots, { recursive: true });
  await reader.page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

test('an operator changes a setting, sees what is fixed, tries mail out and takes the change back', async () => {
  const reader = await readerOf({ width: 1440 });
  const { page } = reader;
  await reader.open('/portal/operate/settings');
  const general = page.getByRole('region', { name: 'Name and contact' });
  await general.getByLabel('Name', { exact: true }).fill('Old Mill');
  await general.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('banner').getByText('Old Mill').waitFor();
  const queue = page.getByLabel('Calls that may wait for one model (calls)');
  expect(await queue.getAttribute('readonly')).not.toBeNull();
  await reader.sees('Set by QUEUE_LENGTH. It cannot be changed here.');

  const mail = page.getByRole('region', { name: 'Mail', exact: true });
  await mail.getByLabel('Mail server', { exact: true }).fill(mailbox.url);
  await mail.getByLabel('Sender').fill('gate@example.org');
  await mail.getByLabel('Send a test to').fill('ada@example.org');
  await mail.getByRole('button', { name: 'Send a test' }).click();
  await reader.sees('The mail server has taken an email to ada@example.org.');
  expect((await mailbox.to('ada@example.org')).text).toContain('An operator of Old Mill');

  // Somebody else is faster: what was typed stays, and is saved to what they saved.
  await operator.patch('/settings/mail', { values: { mail_from: 'other@example.org' } });
  await mail.getByRole('button', { name: 'Save' }).click();
  await reader.sees('Somebody else has just saved these settings.');
  expect(await mail.getByLabel('Sender').inputValue()).toBe('gate@example.org');
  await mail.getByRole('button', { name: 'Save' }).click();
  await eventually(async () => expect((await operator.get('/settings/mail')).body.settings[0].value).toBe(mailbox.url));

  const changes = page.getByRole('region', { name: 'Changes' });
  await changes.getByRole('button', { name: /^Undo the change of Name and contact/ }).click();
  await page.getByRole('banner').getByText('Sekisho').first().waitFor();
  await reader.sees('Name: default → Old Mill');
  await reader.isSound();
  await shoot(reader, 'en-1440');
  await reader.close();
});

test('the accent colour and the logo are on every page, readable in light and dark, and the logo runs nothing', async () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="#00a"/></svg>';
  const logo = `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`;
  expect((await fetch(`${gate.url}/portal/logo`)).status).toBe(404);
  await operator.patch('/settings/appearance', { values: { accent_color: '#FFE800', logo } });
  const served = await eventually(async () => {
    const answer = await fetch(`${gate.url}/portal/logo`);
    expect(answer.status).toBe(200);
    return answer;
  });
  expect(served.headers.get('content-type')).toMatch(/^image\/svg\+xml/);
  expect(served.headers.get('content-security-policy')).toMatch(/default-src 'none'.*sandbox/);
  expect(served.headers.get('x-content-type-options')).toBe('nosniff');
  const etag = served.headers.get('etag') ?? '';
  expect((await fetch(`${gate.url}/portal/logo`, { headers: { 'if-none-match': etag } })).status).toBe(304);
  for (const [scheme, width, language] of [
    ['light', 1440, 'en'],
    ['dark', 390, 'ja'],
  ] as const) {
    const reader = await readerOf({ scheme, width, language });
    await reader.open('/portal/operate/settings');
    await reader.page.getByLabel(language === 'en' ? 'Accent color' : 'アクセントカラー').waitFor();
    expect(await reader.page.getByRole('banner').locator('img').getAttribute('src')).toMatch(/^\/portal\/logo\?/);
    const save = language === 'en' ? 'Save' : '保存';
    const ground = await reader.page.evaluate<string>(
      `getComputedStyle([...document.querySelectorAll('button')].find((each) => each.textContent === '${save}')).backgroundColor`,
    );
    // Neither the yellow itself nor our own red.
    const [red, green, blue] = (/\d+, \d+, \d+/.exec(ground)?.[0] ?? '').split(', ').map(Number) as [
      number,
      number,
      number,
    ];
    expect(Math.abs(red - green), ground).toBeLessThan(60);
    expect(blue, ground).toBeLessThan(60);
    await reader.isSound();
    expect(await layoutFaults(reader.page)).toEqual([]);
    await shoot(reader, `${language}-${width}-${scheme}`);
    await reader.close();
  }
});
