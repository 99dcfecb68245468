// Sessions in a real browser: one that ends in the middle of something, one that is too old for what is asked, and what is
// shown only once.
import { afterAll, expect, test } from 'vitest';
import { viewMs } from '../../src/domain/view.ts';
import { endpoints } from '../../src/management/endpoints.ts';
import type { Reader } from '../browser.ts';
import { eventually } from '../gate.ts';
import { layoutFaults } from '../layout.ts';
import { openPages } from '../pages.ts';
import { goodPassword, memberOf, operatorOf, Visitor } from '../visitor.ts';

const { gate, readerOf, close } = await openPages({ APPLICATIONS_PER_MINUTE: '1000' });
afterAll(close);
await (await operatorOf(gate)).patch('/registration', { mode: 'open', plan: 'default' });

/** A new session of somebody who was here before. */
async function again(email: string): Promise<Visitor> {
  const visitor = new Visitor(gate.url);
  const { status } = await visitor.auth('/sign-in/email', { email, password: goodPassword });
  expect(status).toBe(200);
  return visitor;
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
    const reader = await readerOf(await again('operator-1@example.org'), { width, language });
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
    const focused = reader.page.locator(':focus');
    await eventually(async () => expect(await focused.getAttribute('autocomplete')).toBe('current-password'));
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

test('a passkey of a closed account is refused with the reason, and a password as that of a stranger', async () => {
  const email = 'closing@example.org';
  const member = await memberOf(gate, email);
  const reader = await readerOf(member);
  const { page } = reader;
  await reader.addAuthenticator();
  await reader.open('/portal/me');
  await reader.press('Add a passkey');
  await page.getByRole('dialog').getByLabel('Name').fill('Laptop');
  await reader.press('Continue');
  await reader.sees('Passkey added.');
  const { account } = (await member.get('/session')).body;
  expect((await (await again('operator-1@example.org')).delete(`/accounts/${account.id}`)).status).toBe(204);
  for (const [language, send, either, passkey, wrong] of [
    ['en', 'Sign in', 'Sign in with a passkey', 'the account was closed', 'Wrong email or password.'],
    [
      'ja',
      'サインイン',
      'パスキーでサインイン',
      'アカウントが閉鎖されています',
      'メールアドレスかパスワードが違います。',
    ],
  ] as const) {
    await page.evaluate(`localStorage.setItem('sekisho-language', '${language}')`);
    await reader.open('/portal/sign-in');
    await reader.press(either);
    await page.getByRole('alert').getByText(passkey).waitFor();
    for (const typed of [email, 'nobody@example.org']) {
      await page
        .getByLabel(/^(?:Email|メール)/)
        .first()
        .fill(typed);
      await page
        .getByLabel(/^(?:Password|パスワード)/)
        .first()
        .fill(goodPassword);
      await reader.press(send);
      await page.getByRole('alert').getByText(wrong, { exact: true }).waitFor();
      await page.getByRole('alert').waitFor();
    }
  }
  const answers = [];
  for (const typed of [email, 'nobody@example.org']) {
    const { status, body } = await new Visitor(gate.url).auth('/sign-in/email', {
      email: typed,
      password: goodPassword,
    });
    answers.push({ status, body });
  }
  expect(answers[0]).toEqual(answers[1]);
  await reader.isSound();
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

test.each([
  [1440, 'en'],
  [390, 'ja'],
] as const)(
  'an operator views the pages of a member, changes nothing there, and comes back (%i px, %s)',
  async (width, language) => {
    const email = `viewed-${width}@example.org`;
    const member = await memberOf(gate, email);
    await member.post('/me/keys', { name: 'their laptop' });
    const { id, name } = (await member.get('/session')).body.account;
    const reader = await readerOf(await again('operator-1@example.org'), { width, language });
    const words = (en: string, ja: string): string => (language === 'ja' ? ja : en);
    const begin = async (): Promise<void> => {
      await reader.open(`/portal/operate/accounts/${id as string}`);
      await reader.press(words('View as this member', 'このメンバーの画面を閲覧'));
      await reader.page.waitForURL(/\/portal\/home$/);
      await reader.page.locator('.viewing').waitFor();
    };
    await begin();
    expect(await reader.page.locator('.viewing').innerText()).toContain(name);
    await eventually(async () => expect(await reader.page.locator('nav a').count()).toBe(4));
    for (const path of ['home', 'keys', 'usage', 'requests']) {
      await reader.open(`/portal/${path}`);
      await reader.page.locator('.viewing').waitFor();
      await eventually(async () => expect(await layoutFaults(reader.page)).toEqual([]));
      await reader.isSound();
    }
    await reader.open('/portal/keys');
    await reader.sees('their laptop');
    // The second copies the id of the key.
    await eventually(async () =>
      expect(await reader.page.locator('main').getByRole('button').allTextContents()).toEqual([
        words('Stop viewing', '閲覧を終了'),
        '',
      ]),
    );
    // Ctrl-K finds what the member would find in these pages, and nothing of the operator's own.
    await reader.page.keyboard.press('Control+k');
    const found = reader.page.getByRole('option');
    await found.first().waitFor();
    await eventually(async () => expect(await found.count()).toBe(4));
    await reader.page
      .getByRole('combobox', { name: words('Search everything (Ctrl K)', 'すべてを検索（Ctrl K）') })
      .fill('laptop');
    await eventually(async () =>
      expect(await found.allInnerTexts()).toEqual([expect.stringContaining('their laptop')]),
    );
    await reader.page
      .getByRole('combobox', { name: words('Search everything (Ctrl K)', 'すべてを検索（Ctrl K）') })
      .fill('operator-1');
    await eventually(async () => expect(await found.count()).toBe(0));
    await reader.page.keyboard.press('Escape');
    // Other pages are not there: neither the operator's own nor the member's settings.
    for (const path of ['me', 'playground', 'operate/keys']) {
      await reader.page.goto(`${gate.url}/portal/${path}`);
      await reader.page.waitForURL(/\/portal\/home$/);
    }
    await reader.press(words('Stop viewing', '閲覧を終了'));
    await reader.page.waitForURL(new RegExp(`/portal/operate/accounts/${id as string}$`));
    await reader.sees(/account\.view-ended/);
    expect(await reader.page.locator('.viewing').count()).toBe(0);
    // When it ends by itself, the next look leads back and says so.
    await begin();
    await gate.manage(({ signIn: { db } }) =>
      db
        .updateTable('views')
        .set({ started_at: Date.now() - viewMs })
        .execute(),
    );
    await reader.page.reload();
    await reader.page.waitForURL(/\/portal\/operate\/accounts\//);
    await reader.sees(words('Viewing the pages of that member has ended.', 'メンバーの画面の閲覧が終了しました。'));
    await reader.close();
  },
);

test.each([
  [1440, 'en'],
  [390, 'ja'],
] as const)(
  'the API reference has the routes that its reader may call, and tries them with the session (%i px, %s)',
  async (width, language) => {
    const member = await memberOf(gate, `tries-${width}@example.org`);
    const reader = await readerOf(member, { width, language });
    const words = (en: string, ja: string): string => (language === 'ja' ? ja : en);
    const { page } = reader;
    await reader.open('/portal/reference');
    const open = async (method: string, path: string): Promise<void> => {
      await page.getByRole('searchbox').fill(`${method} ${path}`);
      await page.getByRole('button', { name: new RegExp(`^${method} ?${path}(?![/\\w])`) }).click();
    };
    const send = (): Promise<void> =>
      page.getByRole('button', { name: words('Send request', 'リクエストを送信') }).click();
    const answer = page.getByRole('status', { name: words('Response', '応答') });
    await reader.sees('/management/v1/me/limits');
    await reader.sees('/v1/chat/completions');
    expect(await page.getByText('/management/v1/accounts', { exact: true }).count()).toBe(0);

    await open('GET', '/management/v1/me/limits');
    await eventually(async () => expect(await layoutFaults(page)).toEqual([]));
    await reader.isSound();
    await page.getByRole('button', { name: /curl/ }).click();
    await eventually(async () =>
      expect(await page.evaluate('navigator.clipboard.readText()')).toBe(
        `curl '${gate.url}/management/v1/me/limits' \\\n  -H "x-api-key: $SEKISHO_KEY"`,
      ),
    );
    await send();
    await answer.getByText('200', { exact: true }).waitFor();
    await answer.getByText('"items"').waitFor();
    await answer.getByText(words('Response headers', '応答ヘッダー')).click();
    await answer.getByText('content-type: application/json').waitFor();
    await reader.isSound();

    // What changes something asks first.
    await open('PATCH', '/management/v1/me');
    await page.getByLabel(words('Body (JSON)', '本文（JSON）')).fill('{"name": "Tried"}');
    await send();
    const question = page.getByRole('dialog');
    await question.getByRole('button').first().click();
    await question.waitFor({ state: 'hidden' });
    const nameNow = async (): Promise<unknown> => (await member.get('/session')).body.person.name;
    expect(await nameNow()).not.toBe('Tried');
    await send();
    await question.getByRole('button', { name: words('Send request', 'リクエストを送信') }).click();
    await answer.getByText('204', { exact: true }).waitFor();
    expect(await nameNow()).toBe('Tried');

    // A model is called with a key of the page, and a refusal is shown as the gate words it.
    await open('POST', '/api/chat');
    await send();
    await answer.getByText('200', { exact: true }).waitFor();
    await answer.getByText('"assistant"').waitFor();
    await page.getByLabel(words('Body (JSON)', '本文（JSON）')).fill('{');
    await send();
    await answer.getByText('400', { exact: true }).waitFor();
    await reader.isSound();
    await reader.close();
  },
);

test.each(['en', 'ja'] as const)('a page that only shows something invites to nothing (%s)', async (language) => {
  const words = (en: string, ja: string): string => (language === 'ja' ? ja : en);
  const { id } = (await (await memberOf(gate, `bare-${language}@example.org`)).get('/session')).body.account;
  const reader = await readerOf(await again('operator-1@example.org'), { width: 1440, language });
  const main = reader.page.getByRole('main');
  const invites =
    language === 'ja'
      ? /作成し|作成でき|追加する|追加し|申請の受け付けを始め|送信すると/
      : /create|first key|add one|add “|open registration/i;
  await reader.open(`/portal/operate/accounts/${id as string}`);
  await reader.press(words('View as this member', 'このメンバーの画面を閲覧'));
  await reader.page.waitForURL(/\/portal\/home$/);
  for (const [path, seen] of [
    ['home', words('This member has no working key.', 'このメンバーには、有効なキーがありません。')],
    ['keys', words('This member has no working key.', 'このメンバーには、有効なキーがありません。')],
    ['usage', words('No usage yet.', 'まだ記録がありません。')],
  ] as const) {
    await reader.open(`/portal/${path}`);
    await main.getByText(seen).waitFor();
    expect((await main.innerText()).trim(), path).not.toMatch(invites);
  }
  await reader.isSound();
  await reader.close();

  const auditor = await readerOf(await operatorOf(gate, 'auditor'), { width: 1440, language });
  for (const [path, seen] of [
    ['model-names', words('No model names yet.', '現在は、モデル本来の名前だけを使えます。')],
    ['applications', words('No applications yet.', '申請はありません。')],
    ['settings', words('Settings', '設定')],
  ] as const) {
    await auditor.open(`/portal/operate/${path}`);
    const text = auditor.page.getByRole('main');
    await text.getByText(seen).first().waitFor();
    if (path !== 'settings') expect(await text.innerText(), path).not.toMatch(invites);
  }
  await auditor.open('/portal/operate');
  await auditor.page
    .getByRole('status')
    .filter({ hasText: words('Live', 'ライブ') })
    .waitFor();
  expect(await auditor.page.getByRole('region', { name: words('First steps', 'はじめに行うこと') }).count()).toBe(0);
  await auditor.close();
});

test('the API reference of an operator has every route of the management API', async () => {
  const reader = await readerOf(await again('operator-1@example.org'));
  await reader.open('/portal/reference');
  await reader.sees('/management/v1/accounts');
  const shown = await reader.page.locator('main').innerText();
  expect(endpoints.filter(({ path }) => !shown.includes(`/management/v1${path}`)).map(({ name }) => name)).toEqual([]);
  await reader.close();
});
