// Sessions in a real browser: one that ends in the middle of something, one that is too old for what is asked, and what is
// shown only once.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBrowser, Reader } from '../browser.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate } from '../gate.ts';
import { goodPassword, memberOf, operatorOf, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let browser: Browser;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '1000' });
  await (await operatorOf(gate)).patch('/registration', { mode: 'open', plan: 'default' });
  browser = await openBrowser();
});
afterAll(async () => {
  await browser.close();
  await gate.stop();
  await fake.close();
});

/** A new session of somebody who was here before. */
async function again(email: string): Promise<Visitor> {
  const visitor = new Visitor(gate.url);
  const { status } = await visitor.auth('/sign-in/email', { email, password: goodPassword });
  expect(status).toBe(200);
  return visitor;
}

/** A browser with a person's session. */
async function readerOf(visitor: Visitor, width = 1440, language: 'en' | 'ja' = 'en'): Promise<Reader> {
  const reader = await Reader.at(browser, gate.url, { width, language });
  await reader.context.addCookies([...visitor.cookies].map(([name, value]) => ({ name, value, url: gate.url })));
  return reader;
}

/** Ends every session, or dates it back, as time does. */
const age = (how: 'ended' | 'stale'): Promise<unknown> =>
  gate.manage<unknown>(({ signIn: { db } }) => {
    if (how === 'ended') return db.deleteFrom('sessions').execute();
    const anHourAgo = new Date(Date.now() - 3_600_000).toISOString();
    return db.updateTable('sessions').set({ createdAt: anHourAgo }).execute();
  });

const signIn = async (reader: Reader, password: string, dialog = 'Sign in again'): Promise<void> => {
  const form = reader.page.getByRole('dialog', { name: dialog });
  await form.getByLabel(/^(?:Password|パスワード)/).fill(password);
  await form.getByRole('button', { name: /^(?:Sign in|サインイン)$/ }).click();
};

test.each([
  [1440, 'en'],
  [390, 'ja'],
] as const)(
  'a session that ends while somebody types is asked for, and the form is sent (%i px, %s)',
  async (width, language) => {
    const reader = await readerOf(await again('operator-1@example.org'), width, language);
    await reader.open('/portal/operate/plans');
    await reader.press(language === 'ja' ? '新しいプラン' : 'New plan');
    const form = reader.page.getByRole('dialog', { name: language === 'ja' ? '新しいプラン' : 'New plan' });
    const name = `night-${width}`;
    await form.getByRole('textbox').first().fill(name);
    await age('ended');
    await form.getByRole('button', { name: language === 'ja' ? '新しいプラン' : 'New plan' }).click();
    await reader.page
      .getByRole('dialog', { name: language === 'ja' ? 'もう一度サインインしてください' : 'Sign in again' })
      .waitFor();
    await reader.isSound();
    await signIn(reader, 'wrong password', language === 'ja' ? 'もう一度サインインしてください' : undefined);
    await reader.page.getByRole('alert').waitFor();
    await signIn(reader, goodPassword, language === 'ja' ? 'もう一度サインインしてください' : undefined);
    await reader.sees(name);
    expect(await gate.manage((store) => store.findPlan(name))).toBeDefined();
    await reader.close();
  },
);

test('Escape in the dialog of a session that ended loses nothing that was typed', async () => {
  const reader = await readerOf(await again('operator-1@example.org'));
  await reader.open('/portal/operate/plans');
  await reader.press('New plan');
  const form = reader.page.getByRole('dialog', { name: 'New plan' });
  await form.getByRole('textbox').first().fill('kept');
  await age('stale');
  await form.getByRole('button', { name: 'New plan' }).click();
  const asked = reader.page.getByRole('dialog', { name: 'Confirm that it’s you' });
  await asked.getByLabel(/^Password/).press('Escape');
  await asked.getByRole('button', { name: 'Close' }).click();
  await reader.sees('Nothing was changed');
  expect(await form.getByRole('textbox').first().inputValue()).toBe('kept');
  await reader.close();
});

test('an action that needs a recent sign-in asks for one, and then goes on', async () => {
  const reader = await readerOf(await again('operator-1@example.org'));
  await reader.open('/portal/operate/plans/trial');
  await age('stale');
  await reader.open('/portal/operate/plans');
  await reader.page.getByRole('button', { name: 'Delete' }).nth(1).click();
  const question = reader.page.getByRole('dialog').getByRole('button', { name: 'Delete' });
  await question.click();
  await reader.page.getByRole('dialog', { name: 'Confirm that it’s you' }).waitFor();
  await signIn(reader, goodPassword, 'Confirm that it’s you');
  await reader.sees('Plan deleted');
  expect(await gate.manage(async (store) => (await store.listPlans()).length)).toBe(4);
  await reader.close();
});

test('somebody else who signs in there gets their own first page, and the action is not done for them', async () => {
  const reader = await readerOf(await again('operator-1@example.org'));
  await memberOf(gate, 'else@example.org');
  // This page asks for news by itself.
  await reader.open('/portal/operate');
  await age('ended');
  const form = reader.page.getByRole('dialog', { name: 'Sign in again' });
  await form.waitFor();
  await form.getByLabel(/^Email/).fill('else@example.org');
  await signIn(reader, goodPassword);
  await reader.page.waitForURL(/\/portal\/home$/);
  await reader.close();
});

test('declining leads to the page for signing in, and from there back', async () => {
  const reader = await readerOf(await memberOf(gate, 'declines@example.org'));
  await reader.open('/portal/keys?sort=name&q=a%20b');
  await age('ended');
  await reader.page.reload();
  await reader.page.waitForURL(/\/portal\/sign-in\?next=%2Fportal%2Fkeys%3F/);
  await reader.fill('Email address *', 'declines@example.org');
  await reader.fill('Password *', goodPassword);
  await reader.press('Sign in');
  await reader.page.waitForURL(/\/portal\/keys\?sort=name&q=a%20b$/);

  // What pages keep in the tab ends with the session.
  await reader.page.evaluate("sessionStorage.setItem('sekisho-playground', '{}')");
  await reader.press(/Signed in as/);
  await reader.page.getByRole('menuitem', { name: 'Sign out' }).click();
  await eventually(async () => expect(await reader.page.evaluate('sessionStorage.length')).toBe(0));
  await reader.close();
});

test('a new key is shown until it was copied: neither Escape nor a click beside it ends that', async () => {
  const reader = await readerOf(await memberOf(gate, 'copies@example.org'));
  await reader.open('/portal/keys');
  await reader.press(/^(?:Make a key|New key)/);
  await reader.page.getByRole('dialog').getByRole('textbox').first().fill('once');
  await reader.page.getByRole('dialog').getByRole('button').last().click();
  const shown = reader.page.getByRole('dialog', { name: 'Your new key' });
  await shown
    .getByText(/^sekisho_\w+$/)
    .first()
    .waitFor();
  await reader.page.keyboard.press('Escape');
  await reader.page.mouse.click(5, 5);
  expect(await shown.getByRole('button', { name: 'Close' }).count()).toBe(0);
  await shown
    .getByText(/^sekisho_\w+$/)
    .first()
    .waitFor();
  await reader.isSound();
  await shown.getByRole('button', { name: /^Copy: Your new key/ }).click();
  await reader.page.keyboard.press('Escape');
  await shown.waitFor({ state: 'hidden' });
  await reader.close();
});
