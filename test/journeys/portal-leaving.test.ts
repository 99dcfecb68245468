// Leaving a page that holds something back, in a real browser, at the moments at which a slow machine lets people do it: while the page
// redraws itself, while the dialog opens or closes, and while the browser is still on its way to another history entry.
import type { Page } from 'playwright-core';
import { afterAll, expect, test } from 'vitest';
import { Reader } from '../browser.ts';
import { eventually } from '../gate.ts';
import { openPages } from '../pages.ts';
import { operatorOf } from '../visitor.ts';

const { fake, gate, browser, close } = await openPages();
afterAll(close);
const operator = await operatorOf(gate);

const heading = (page: Page, name: string) => page.getByRole('heading', { level: 1, name, exact: true });
const navigation = (page: Page, name: string) => page.getByRole('navigation').getByRole('link', { name, exact: true });

/** A pull that reports another share of its download whenever it is told to, and that ends with `finish`. */
function heldPull() {
  const told: ((done: number | undefined) => void)[] = [];
  const sent: (number | undefined)[] = [];
  const tell = (done: number | undefined): void => {
    const waiting = told.shift();
    if (waiting) waiting(done);
    else sent.push(done);
  };
  fake.next(
    async (_, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      for (;;) {
        const done = sent.length > 0 ? sent.shift() : await new Promise<number | undefined>((next) => told.push(next));
        if (done === undefined) break;
        await answer.chunk(
          `${JSON.stringify({ status: 'pulling abc', digest: 'sha256:abc', total: 100, completed: done })}\n`,
        );
      }
      await answer.chunk('{"status":"success"}\n');
      answer.end();
    },
    ({ url }) => url === '/api/pull',
  );
  return { progress: (done: number) => tell(done), finish: () => tell(undefined) };
}

test('Leave is asked once, although the page redraws itself before the browser has gone back', async () => {
  const reader = await Reader.at(browser, gate.url);
  await reader.signInAs(operator);
  const { page } = reader;
  // Traversals wait until the test lets them go, as they do on a machine with much to do.
  await page.addInitScript(`
    const go = history.go.bind(history);
    Object.assign(window, { isHeld: false, held: [], release: () => held.splice(0).forEach((act) => act()) });
    history.go = (delta) => (window.isHeld ? held.push(() => go(delta)) : go(delta));
  `);
  await reader.open('/portal/operate/rules');
  await navigation(page, 'Models').click();
  await reader.sees('gemma3:270m');
  const pull = heldPull();
  pull.progress(10);
  await reader.fill(/^Name/, 'qwen3:0.6b');
  await reader.press('Pull');
  const bar = page.getByRole('progressbar');
  await eventually(async () => expect(await bar.getAttribute('aria-valuenow')).toBe('10'));
  await page.goBack();
  const asked = page.getByRole('dialog', { name: 'Leave while a pull runs?' });
  await asked.waitFor();
  await heading(page, 'Models').waitFor();
  await page.evaluate('window.isHeld = true');
  await asked.getByRole('button', { name: 'Leave' }).click();
  await eventually(async () => expect(await page.evaluate('window.held.length')).toBe(1));
  pull.progress(60);
  await eventually(async () => expect(await bar.getAttribute('aria-valuenow')).toBe('60'));
  await page.evaluate('window.isHeld = false; window.release()');
  await heading(page, 'Rules').waitFor();
  expect(await asked.count()).toBe(0);
  // Where it began: one step forward is the page that was left.
  await page.goForward();
  await heading(page, 'Models').waitFor();
  pull.finish();
  await page.getByRole('listitem').filter({ hasText: 'qwen3:0.6b' }).getByText('Pulled').waitFor();
  await reader.isSound();
  await reader.close();
});

test('Back, twice, while the dialog is open asks one question, and its answer counts', async () => {
  const reader = await Reader.at(browser, gate.url);
  await reader.signInAs(operator);
  const { page } = reader;
  await reader.open('/portal/operate/rules');
  for (const name of ['Accounts', 'Usage', 'Plans']) {
    await navigation(page, name).last().click();
    await heading(page, name).waitFor();
  }
  await page.getByRole('main').getByRole('link', { name: 'trial', exact: true }).click();
  await reader.fill('Maximum answer, in tokens', '77');
  const asked = page.getByRole('dialog', { name: 'Leave without saving?' });
  await page.evaluate('history.back(); history.back()');
  await asked.waitFor();
  await eventually(() => expect(page.url()).toMatch(/\/plans\/trial$/));
  await page.evaluate('history.back()');
  await eventually(() => expect(page.url()).toMatch(/\/plans\/trial$/));
  await asked.getByRole('button', { name: 'Cancel' }).click();
  await asked.waitFor({ state: 'detached' });
  expect(page.url()).toMatch(/\/plans\/trial$/);
  expect(await page.getByLabel('Maximum answer, in tokens').inputValue()).toBe('77');
  await page.goBack();
  await asked.getByRole('button', { name: 'Leave without saving' }).click();
  await heading(page, 'Plans').waitFor();
  await page.goBack();
  await heading(page, 'Usage').waitFor();
  expect(reader.wrong).toEqual([]);
  await reader.close();
});

test('a press that begins on a button of an opening dialog ends on it, and a closing dialog takes none', async () => {
  for (const reducedMotion of ['reduce', 'no-preference'] as const) {
    const reader = await Reader.at(browser, gate.url);
    await reader.page.emulateMedia({ reducedMotion });
    await reader.signInAs(operator);
    const { page } = reader;
    await reader.open('/portal/operate/plans/trial');
    await reader.fill('Maximum answer, in tokens', '77');
    // Where the buttons are in each frame, from the first in which there is a dialog until it is gone.
    await page.evaluate(`
      Object.assign(window, { seen: [], opened: true });
      window.buttonOf = (name) => [...document.querySelectorAll('[role=dialog] button')].find(({ textContent }) => textContent === name);
      const look = () => {
        const button = buttonOf('Leave without saving');
        if (button) {
          const { top, left, width, height } = button.getBoundingClientRect();
          const hit = document.elementFromPoint(left + width / 2, top + height / 2);
          seen.push({ top, left, takes: button.contains(hit), opened });
        }
        requestAnimationFrame(look);
      };
      look();
    `);
    await navigation(page, 'Rules').click();
    const asked = page.getByRole('dialog', { name: 'Leave without saving?' });
    await asked.waitFor();
    await eventually(async () => expect(await page.evaluate('window.seen.length')).toBeGreaterThan(30));
    await page.evaluate("buttonOf('Cancel').click(); window.opened = false");
    await asked.waitFor({ state: 'detached' });
    const seen = await page.evaluate<{ top: number; left: number; takes: boolean; opened: boolean }[]>('window.seen');
    expect(new Set(seen.map(({ top }) => Math.round(top))).size, 'it does not move').toBe(1);
    expect(new Set(seen.map(({ left }) => Math.round(left))).size).toBe(1);
    expect(
      seen.filter(({ opened }) => !opened).filter(({ takes }) => takes),
      'while it closes',
    ).toEqual([]);
    await reader.close();
  }
});
