// Every page of the portal, and every dialog and menu on it, in both languages, on a desktop in light colours and on a phone in dark
// ones: nothing is cut off or beyond the screen, axe finds nothing serious, nothing is logged. A route that is added is walked as well.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Request } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBrowser, Reader } from '../browser.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, root, type TestGate } from '../gate.ts';
import { layoutFaults } from '../layout.ts';
import { goodPassword, memberOf, operatorOf, Visitor } from '../visitor.ts';

type Language = 'en' | 'ja';

const paths = Array.from(
  readFileSync(join(root, 'portal/src/routes.tsx'), 'utf8').matchAll(/path: '([^']+)',\s*who: '(\w+)'/g),
  ([, path = '', who = '']) => ({ path, who }),
);

/** What stands for a route with a parameter, and for a page that shows more under another address. */
const places: Record<string, string> = {
  '/help/:name': '/help/plans',
  '/setup': '/setup#x',
  '/reset': '/reset#x',
  '/confirm': '/confirm#x',
  '/operate/requests': '/operate/requests?minDurationMs=0&range=own',
  '/operate/latency': '/operate/latency?period=hour',
};
/** The size and the colours of the screen, for both languages. */
const looks = [
  { width: 1440, scheme: 'light' },
  { width: 390, scheme: 'dark' },
] as const;

let fake: FakeOllama;
let gate: TestGate;
let browser: Browser;
let operator: Visitor;
let full: Visitor;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '1000', TIME_ZONE: 'UTC' });
  browser = await openBrowser();
  operator = await operatorOf(gate);
  await operator.patch('/registration', { mode: 'open', plan: 'default' });
  await fill();
});
afterAll(async () => {
  await browser.close();
  await gate.stop();
  await fake.close();
});

/** Something of everything, with names as long as people have them. */
async function fill(): Promise<void> {
  const long = 'Ludwig-Maximilians-Universität München, Institut für Netze 7';
  const call = (secret: string): Promise<Response> =>
    post(`${gate.url}/api/chat`, secret, {
      model: 'gemma3:270m',
      messages: [{ role: 'user', content: 'x' }],
      stream: false,
    });
  const apply = async (name: string, email: string, purpose: string): Promise<Visitor> => {
    const visitor = new Visitor(gate.url);
    await visitor.post('/applications', { name, email, purpose, password: goodPassword });
    return visitor;
  };
  full = await apply(long, 'a.rather.long.address.of.somebody@subdomain.university.example', 'a test');
  const { id } = (await full.get('/session')).body.account;
  await operator.post('/plans', { name: 'a-plan-with-a-name-as-long-as-names-are', like: 'default' });
  await operator.patch(`/accounts/${id as string}`, { plan: 'a-plan-with-a-name-as-long-as-names-are' });
  for (const name of ['laptop', 'The key of the night job that adds up everything of the day']) {
    const { body } = await full.post('/me/keys', {
      name,
      models: ['gemma3:*', `${'w'.repeat(30)}/${'W'.repeat(30)}`],
    });
    expect((await call(body.secret)).status).toBe(200);
    await operator.post('/suspensions', {
      whom: body.id,
      step: 'warn',
      reason: 'A reason of some length: '.repeat(4),
    });
  }
  await operator.patch('/registration', { mode: 'approval' });
  await apply(`${long} waits`, 'another.rather.long.address@subdomain.university.example', 'p'.repeat(300));
  await operator.patch('/registration', { mode: 'open' });
  await operator.post('/servers', {
    name: 'w'.repeat(40),
    address: `http://127.0.0.1:9/${'w'.repeat(80)}`,
    plans: ['default'],
  });
  await operator.post('/model-names', {
    name: `${'w'.repeat(30)}/${'v'.repeat(30)}`,
    target: `${'w'.repeat(30)}/${'W'.repeat(30)}`,
  });
  await operator.post('/routes', { name: 'store', options: { path: '/store', upstreams: ['http://127.0.0.1:9'] } });
  await operator.post('/invites', { email: 'invited.rather.long.address@subdomain.university.example', plan: null });
  const rows = await gate.ledger(2);
  const request = rows.find(({ accountId }) => accountId === id)?.id ?? '';
  Object.assign(places, {
    '/requests/:id': `/requests/${request}`,
    '/operate/requests/:id': `/operate/requests/${request}`,
    '/operate/accounts/:id': `/operate/accounts/${id as string}`,
    '/operate/plans/:name': '/operate/plans/a-plan-with-a-name-as-long-as-names-are',
    '/operate/audit/:id': `/operate/audit/${(await operator.get('/audit?limit=1')).body.items[0].id as string}`,
  });
}

async function readerOf(visitor: Visitor | undefined, language: Language, url = gate.url): Promise<Reader> {
  const reader = await Reader.at(browser, url, { language });
  if (visitor) await reader.signInAs(visitor);
  // Every button is pressed here, so nothing may reach the gate that changes anything.
  await reader.page.route('**/*', (route) => {
    const request = route.request();
    const reads = request.method() === 'GET' || /\/(?:links\/look|me\/page-keys|api\/show)$/.test(request.url());
    return reads ? route.fallback() : route.fulfill({ status: 409, json: { code: 'conflict' } });
  });
  return reader;
}

/** The rules of axe that depend on words; the others find the same in each language. */
const rulesOfWords = [
  'cat.name-role-value',
  'cat.text-alternatives',
  'cat.language',
  'cat.forms',
  'cat.sensory-and-visual-cues',
];

const overlays = '[role=dialog], [role=menu]';

/** Runs in the browser. What can be pressed, by its words; not what sends a form, sorts, copies, or changes the colours. */
const presses = `(() => {
  const shown = [...document.querySelectorAll('header button[aria-haspopup], main button')].filter((button) =>
    button.type !== 'submit' && !button.disabled && button.offsetParent && !button.closest('th') && !button.role);
  const words = (button) => button.getAttribute('aria-label') ?? button.textContent;
  return { words: [...new Set(shown.map(words))], press: (name) => shown.find((each) => words(each) === name)?.click() };
})()`;

/** Runs in the browser: a few frames later, whether there is a dialog or a menu. */
const hasOpened = `(async () => {
  for (let frames = 0; frames < 4; frames++) {
    if ([...document.querySelectorAll('${overlays}')].some((each) => each.offsetParent || each.getClientRects().length > 0)) return true;
    await new Promise(requestAnimationFrame);
  }
  return false;
})()`;

/** Goes from page to page as a link does, and measures each in every look. */
class Walk {
  readonly #reader: Reader;
  readonly #language: Language;
  readonly found: Record<string, readonly string[]> = {};
  /** The dialogs and menus that were measured. */
  readonly opened: string[] = [];
  readonly #pressed = new Set<string>();
  #requests = 0;
  #look = 0;

  constructor(reader: Reader, language: Language) {
    this.#reader = reader;
    this.#language = language;
    // A stream of events has no end.
    const counts = (by: number) => (request: Request) => {
      if (request.resourceType() !== 'eventsource' && !request.url().includes('/live')) this.#requests += by;
    };
    reader.page.on('request', counts(1)).on('requestfinished', counts(-1)).on('requestfailed', counts(-1));
  }

  async see(place: string, isNew: boolean): Promise<void> {
    await this.#go(place);
    await this.#inEachLook(async (name) => {
      await this.#measure(`${place}${name}`, 'header, nav, main');
      if (!isNew) return;
      await this.#note(`${place}${name}`, () =>
        this.#reader.isSound(this.#language === 'en' ? undefined : rulesOfWords),
      );
    });
  }

  /** Presses everything on the page, and measures what opens. */
  async press(place: string): Promise<void> {
    const { page } = this.#reader;
    const { words } = await page.evaluate<{ words: string[] }>(presses);
    for (const name of words) {
      const isOfEveryPage = (await page.locator('header').getByRole('button', { name, exact: true }).count()) > 0;
      const id = isOfEveryPage ? name : `${place} ${name}`;
      if (/copy|コピー/i.test(name) || this.#pressed.has(id)) continue;
      this.#pressed.add(id);
      await page.evaluate(`${presses}.press(${JSON.stringify(name)})`);
      if (!(await this.#isOpened())) continue;
      this.opened.push(id);
      await this.#inEachLook((look) => this.#measure(`${id}${look}`, overlays));
      // The words differ, not the structure.
      if (this.#language === 'en')
        await this.#reader.isAccessible(overlays).catch((error: { readonly actual?: unknown }) => {
          this.found[`${id} is not accessible`] = error.actual as readonly string[];
        });
      await this.#close();
    }
  }

  async #go(place: string): Promise<void> {
    const { page } = this.#reader;
    if (!page.url().includes('/portal/')) await this.#reader.open(`/portal${place}`);
    else {
      await page.evaluate(`document.querySelector('h1')?.setAttribute('data-left', '')`);
      await page.evaluate(`history.pushState({}, '', ${JSON.stringify(`/portal${place}`)})`);
      await page.locator('h1:not([data-left])').first().waitFor();
    }
    await this.#settle();
    expect(await page.evaluate('document.documentElement.lang')).toBe(this.#language);
  }

  async #settle(): Promise<void> {
    const { page } = this.#reader;
    await page.locator('h1').first().waitFor();
    await page.locator('.mantine-Skeleton-root').first().waitFor({ state: 'detached' });
  }

  /** Begins with the look of the moment, as changing it costs most. */
  async #inEachLook(see: (name: string) => Promise<void>): Promise<void> {
    const { page } = this.#reader;
    for (const at of [this.#look, 1 - this.#look]) {
      const { width, scheme } = looks[at as 0 | 1];
      if (at !== this.#look) {
        // Together, so that the browser finds the styles of the page once.
        await Promise.all([page.setViewportSize({ width, height: 900 }), page.emulateMedia({ colorScheme: scheme })]);
      }
      this.#look = at;
      await page.locator(`html[data-mantine-color-scheme=${scheme}]`).waitFor();
      await see(` at ${width} px`);
    }
  }

  async #note(where: string, check: () => Promise<void>): Promise<void> {
    await check().catch(async () => {
      // As somebody finds it who opens it in this look.
      await this.#reader.page.reload();
      await this.#settle();
      await check().catch((error: { readonly message: string; readonly actual?: unknown }) => {
        this.found[`${where}: ${error.message}`] = error.actual as readonly string[];
      });
    });
  }

  /** What was just drawn, or made narrow, may still move. */
  async #measure(what: string, within: string): Promise<void> {
    const { page } = this.#reader;
    await eventually(async () => expect(await layoutFaults(page, within)).toEqual([]), 1_500).catch(async () => {
      this.found[what] = await layoutFaults(page, within);
    });
  }

  /** A list of choices that is open in a dialog is closed first. */
  async #close(): Promise<void> {
    const { page } = this.#reader;
    const overlay = page.locator(overlays).first();
    for (let times = 0; times < 2 && (await overlay.isVisible()); times++) {
      await page.keyboard.press('Escape');
      await overlay.waitFor({ state: 'hidden', timeout: 1_000 }).catch(() => undefined);
    }
    await overlay.waitFor({ state: 'hidden' });
  }

  /** Some read something first. */
  async #isOpened(): Promise<boolean> {
    const { page } = this.#reader;
    for (let times = 0; times < 50; times++) {
      const isIdle = this.#requests === 0;
      if (await page.evaluate<boolean>(hasOpened)) return true;
      if (isIdle) return false;
    }
    return false;
  }
}

async function walk(reader: Reader, language: Language, of: readonly string[], how: 'see' | 'press'): Promise<Walk> {
  const walker = new Walk(reader, language);
  for (const { path } of paths.filter(({ who }) => of.includes(who))) {
    const place = places[path] ?? path;
    expect(place, `an example of ${path}`).not.toContain(':');
    await walker.see(place, how === 'press');
    if (how === 'press') await walker.press(place);
  }
  expect.soft(walker.found).toEqual({});
  expect(reader.wrong).toEqual([]);
  await reader.close();
  return walker;
}

test.each(['en', 'ja'] as const)(
  'every page, dialog and menu shows everything that is on it, with long names and full lists (%s)',
  async (language) => {
    const walks = await Promise.all([
      walk(await readerOf(undefined, language), language, ['everybody', 'visitor'], 'press'),
      walk(await readerOf(full, language), language, ['member'], 'press'),
      walk(await readerOf(operator, language), language, ['operator'], 'press'),
    ]);
    const opened = walks.flatMap((each) => each.opened);
    expect(opened.length, opened.join('\n')).toBeGreaterThan(30);
  },
);

test('pages of somebody who has nothing yet show everything that is on them', async () => {
  const fresh = await memberOf(gate, 'fresh@lists.example');
  const empty = await openGate(fake.url);
  const first = await operatorOf(empty);
  const before = { ...places };
  Object.assign(places, {
    '/requests/:id': '/requests/req_nothing',
    '/operate/requests/:id': '/operate/requests/req_nothing',
  });
  places['/operate/accounts/:id'] = '/operate/accounts/nobody';
  places['/operate/plans/:name'] = '/operate/plans/none';
  places['/operate/audit/:id'] = '/operate/audit/nothing';
  await Promise.all([
    walk(await readerOf(fresh, 'ja'), 'ja', ['member'], 'see'),
    walk(await readerOf(first, 'ja', empty.url), 'ja', ['operator'], 'see'),
  ]);
  Object.assign(places, before);
  await empty.stop();
});
