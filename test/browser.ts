// A real Chromium for journeys through the portal: pages in a language, a colour scheme and a width, and the rules for every
// page: no logged error, no policy violation, no serious accessibility fault.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { eventually } from './gate.ts';

export interface Look {
  readonly language?: 'en' | 'ja';
  readonly scheme?: 'light' | 'dark';
  readonly width?: number;
}

/** The browser without its own window comes first: it takes a third less processor time for the same pages. */
const program = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome']
  .map((name) => `/usr/bin/${name}`)
  .find((path) => existsSync(path));
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function openBrowser(): Promise<Browser> {
  if (program === undefined)
    throw new Error('Chromium is missing; scripts/debian-packages.sh chromium-headless-shell installs it.');
  return chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** A person at a browser: a page, and what went wrong on it. */
export class Reader {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly wrong: string[] = [];
  readonly #url: string;

  private constructor(context: BrowserContext, page: Page, url: string) {
    this.context = context;
    this.page = page;
    this.#url = url;
    page.on('pageerror', (error) => this.wrong.push(String(error)));
    page.on('console', (message) => {
      // The page shows a refused request; the console repeats it.
      if (message.type() === 'error' && !message.text().includes('Failed to load resource'))
        this.wrong.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('data:'))
        this.wrong.push(`asked for ${request.url()}`);
    });
  }

  static async at(
    browser: Browser,
    url: string,
    { language = 'en', scheme = 'light', width = 1440 }: Look = {},
  ): Promise<Reader> {
    const context = await browser.newContext({
      locale: language === 'ja' ? 'ja-JP' : 'en-GB',
      colorScheme: scheme,
      viewport: { width, height: width < 600 ? 844 : 900 },
      timezoneId: 'Asia/Tokyo',
      reducedMotion: 'reduce',
      // For a gate with a self-signed certificate; trust is checked by another test.
      ignoreHTTPSErrors: url.startsWith('https:'),
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    // Waits are short, except on a machine that is busy with something else.
    context.setDefaultTimeout(90_000);
    return new Reader(context, await context.newPage(), url);
  }

  /** Gives the browser an authenticator that has passkeys and knows its user. */
  async addAuthenticator(): Promise<void> {
    const devtools = await this.context.newCDPSession(this.page);
    await devtools.send('WebAuthn.enable');
    await devtools.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
      },
    });
  }

  /** Takes over the session of a visitor. */
  async signInAs({ cookies }: { readonly cookies: ReadonlyMap<string, string> }): Promise<void> {
    await this.context.addCookies(Array.from(cookies, ([name, value]) => ({ name, value, url: this.#url })));
  }

  async open(path: string): Promise<void> {
    await this.page.goto(this.#url + path);
    await this.page.locator('h1').first().waitFor();
  }

  /** By its label. */
  async fill(label: string | RegExp, text: string): Promise<void> {
    await this.page
      .getByLabel(label, { exact: typeof label === 'string' })
      .first()
      .fill(text);
  }

  async press(name: string | RegExp): Promise<void> {
    await this.page
      .getByRole('button', { name, exact: typeof name === 'string' })
      .first()
      .click();
  }

  async sees(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).first().waitFor();
  }

  heading(): Promise<string> {
    return this.page.locator('h1').first().innerText();
  }

  /** Nothing failed, nothing is wider than the screen, and axe finds nothing serious. `rules`: of axe, those with one of these tags. */
  async isSound(rules?: readonly string[]): Promise<void> {
    const { page } = this;
    expect(this.wrong, page.url()).toEqual([]);
    const beyond = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    expect(beyond, `${page.url()} is wider than the screen`).toBeLessThanOrEqual(0);
    expect(await page.locator('h1').count(), `${page.url()} has one h1`).toBe(1);
    await this.isAccessible(undefined, rules);
  }

  /** axe finds nothing serious, in all of the page or in these parts of it, by all rules or by those with one of these tags. */
  async isAccessible(within?: string, rules?: readonly string[]): Promise<void> {
    const { page } = this;
    // Most pages have it already: half a megabyte is not sent twice.
    if (!(await page.evaluate<boolean>('"axe" in window'))) await page.evaluate(axe);
    // A control that is enabled while axe runs has the colours of one state and the attributes of the other.
    await eventually(async () => expect(await seriousFaults(page, within, rules), page.url()).toEqual([]), settlesMs);
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}

/** How long a page that has been drawn may still change its controls. */
const settlesMs = 3_000;

async function seriousFaults(page: Page, within?: string, rules?: readonly string[]): Promise<string[]> {
  const options = { resultTypes: ['violations'], ...(rules && { runOnly: rules }) };
  const { violations } = await page.evaluate<{
    violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
  }>(`window.axe.run(${within === undefined ? 'document' : JSON.stringify(within)}, ${JSON.stringify(options)})`);
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} (${failureSummary.slice(0, 160)})`).join(' | ')}`,
    );
}
