// The first days of a gate in a real browser, on one gate: nobody operates it yet, the operator is set up and has a list of what is left
// to do, somebody applies; pages say what happens in their own language, and keep what is chosen in their address.
import { afterAll, expect, test } from 'vitest';
import { Reader } from '../browser.ts';
import { eventually, openGate, post } from '../gate.ts';
import { openPages } from '../pages.ts';
import { goodPassword, operatorOf, setUpCode, Visitor } from '../visitor.ts';

let operator: Visitor;
const { fake, gate, browser, readerOf, close } = await openPages({
  APPLICATIONS_PER_MINUTE: '1000',
  GATE_NAME: 'Kiso gate',
});
afterAll(close);

test('the first page of a gate without an operator says where the one-time link is, and a page over plain HTTP claims nothing', async () => {
  for (const [width, language, where, plain, off] of [
    [1440, 'en', 'one-time link to its log', 'over plain HTTP', 'does not publish its status'],
    [390, 'ja', '起動ログ', '暗号化されていないHTTP', '稼働状況を公開していません'],
  ] as const) {
    const reader = await Reader.at(browser, gate.url, { width, language });
    await reader.open('/portal/');
    await reader.sees(where);
    expect(await reader.page.title()).toContain('Kiso gate');
    expect(await reader.page.getByRole('banner').innerText()).toContain('Kiso gate');
    await reader.isSound();
    await reader.open('/portal/trust');
    await reader.sees(plain);
    await reader.isSound();
    // A page that is turned off is not a failure that could be tried again.
    await reader.open('/portal/status');
    await reader.sees(off);
    expect(await reader.page.getByRole('main').getByRole('button').count()).toBe(0);
    await reader.close();
  }
});

test('a link that opens nothing says so before anything is typed', async () => {
  const used = await setUpCode(gate, 'desk');
  operator = await operatorOf(gate);
  const email = 'desk@example.org';
  expect(
    (await new Visitor(gate.url).post('/setup', { code: used, name: 'Desk', email, password: goodPassword })).status,
  ).toBe(204);
  for (const [language, sentence] of [
    ['en', 'This link is not valid'],
    ['ja', 'このリンクは使えません'],
  ] as const) {
    const reader = await Reader.at(browser, gate.url, { language });
    for (const page of ['setup', 'reset', 'confirm']) {
      await reader.page.goto('about:blank');
      await reader.open(`/portal/${page}#${used}`);
      await reader.sees(sentence);
      expect(await reader.page.locator('form').count()).toBe(0);
    }
    await reader.isSound();
    await reader.close();
  }
  // An invitation says so as well, above the form, which is for others too; one that works says nothing.
  await operator.patch('/registration', { mode: 'invite' });
  const { body: invitation } = await operator.post('/invites', {});
  const invited = invitation.code as string;
  for (const [code, isShown] of [
    ['invite_nothing', true],
    [invited, false],
  ] as const) {
    const reader = await Reader.at(browser, gate.url);
    const looked = reader.page.waitForResponse((response) => response.url().endsWith('/links/look'));
    await reader.page.goto(`${gate.url}/portal/apply#${code}`);
    await looked;
    await reader.page.getByLabel('Name *').waitFor();
    const dead = reader.page.getByText('This invitation is not valid');
    if (isShown) await dead.waitFor();
    else expect(await dead.count()).toBe(0);
    await reader.isSound();
    await reader.close();
  }
  await operator.patch('/registration', { mode: 'closed' });
  // One that works still shows its form, and looking used nothing up.
  const fresh = await setUpCode(gate, 'desk-2');
  const reader = await Reader.at(browser, gate.url);
  await reader.open(`/portal/setup#${fresh}`);
  await reader.page.getByRole('button', { name: 'Set up' }).waitFor();
  await reader.close();
});

test('the entry of the open page is in view on a low screen, and a high one shows them all', async () => {
  const reader = await readerOf(operator);
  await reader.open('/portal/operate/settings');
  const navigation = reader.page.getByRole('navigation');
  const isWithin = async (name: string): Promise<boolean> => {
    const box = await navigation.getByRole('link', { name, exact: true }).boundingBox();
    const { height = 0 } = reader.page.viewportSize() ?? {};
    return box !== null && box.y >= 0 && box.y + box.height <= height;
  };
  expect([await isWithin('Home'), await isWithin('Settings')]).toEqual([true, true]);
  await reader.page.setViewportSize({ width: 1440, height: 500 });
  await reader.page.reload();
  await navigation.getByRole('link', { name: 'Settings', exact: true }).waitFor();
  await eventually(async () => expect(await isWithin('Settings')).toBe(true));
  expect(await isWithin('Home')).toBe(false);
  await reader.close();
});

test('the overview lists what is left to do after the set-up, until it is done', async () => {
  const reader = await readerOf(operator);
  await reader.open('/portal/operate');
  const list = reader.page.getByRole('region', { name: 'First steps' });
  await list.getByText('Connect a model server').waitFor();
  await eventually(async () => expect(await list.getByRole('listitem').count()).toBe(5));
  await reader.isSound();
  await operator.patch('/registration', { mode: 'approval', plan: 'default' });
  const { secret } = await gate.key();
  await post(`${gate.url}/api/chat`, secret, {
    model: 'gemma3:270m',
    messages: [{ role: 'user', content: 'x' }],
    stream: false,
  });
  await gate.ledger(1);
  await reader.open('/portal/operate');
  // Until everything that the list asks has been read, nobody could tell.
  await reader.page.waitForLoadState('networkidle');
  expect(await list.count()).toBe(0);
  await reader.close();
});

test('a refusal is said in the language of the page, with its figures, and never in the words of the API', async () => {
  const reader = await readerOf(operator, { width: 390, language: 'ja' });
  await reader.open('/portal/operate/plans');
  await reader.press('新しいプラン');
  const dialog = reader.page.getByRole('dialog');
  await dialog.getByLabel(/名前/).first().fill('default');
  await dialog.getByRole('button').last().click();
  await reader.sees('プラン「default」はすでにあります。');
  await reader.open('/portal/operate/accounts/nobody-there');
  await reader.sees('アカウント「nobody-there」はありません。');
  expect(await reader.page.getByText(/There is/).count()).toBe(0);
  await reader.close();
});

test('somebody who waits sees a page for those who wait, and no dead pages; a taken address is said', async () => {
  const applied = new Visitor(gate.url);
  const asked = { name: 'Jiro', email: 'desk@example.org', purpose: 'x', password: goodPassword };
  expect((await applied.post('/applications', asked)).status).toBe(201);
  for (const [width, language, waits, taken] of [
    [1440, 'en', 'is waiting for an operator', 'Another person here uses the address desk@example.org'],
    [390, 'ja', '申請は承認待ちです', 'メールアドレス「desk@example.org」はすでに使われています'],
  ] as const) {
    const reader = await readerOf(applied, { width, language });
    await reader.open('/portal/keys');
    await reader.sees(waits);
    await reader.sees(taken);
    expect(reader.page.url()).toContain('/portal/home');
    if (width === 390) await reader.page.getByRole('button', { name: 'メニュー' }).click();
    await eventually(async () => expect(await reader.page.getByRole('navigation').getByRole('link').count()).toBe(2));
    await reader.isSound();
    await reader.close();
  }
});

test('filters stand in the address, match parts of words, and survive Back; tables sort', async () => {
  for (const name of ['Beta lab', 'Alpha lab', 'Gamma desk']) await operator.post('/accounts', { name, plan: 'trial' });
  const reader = await readerOf(operator);
  await reader.open('/portal/operate/accounts');
  await reader.page.getByRole('searchbox').fill('lab');
  const cells = reader.page.getByRole('row').getByRole('link');
  await eventually(async () => expect(await cells.allInnerTexts()).toHaveLength(2));
  expect(reader.page.url()).toContain('q=lab');
  await reader.page.getByRole('button', { name: 'Name', exact: true }).click();
  await eventually(async () => expect(await cells.allInnerTexts()).toEqual(['Alpha lab', 'Beta lab']));
  await reader.page.getByRole('button', { name: 'Name', exact: true }).click();
  await eventually(async () => expect(await cells.allInnerTexts()).toEqual(['Beta lab', 'Alpha lab']));
  await cells.first().click();
  await reader.page.getByRole('heading', { name: 'Beta lab' }).waitFor();
  await reader.page.goBack();
  await eventually(async () => expect(await cells.allInnerTexts()).toHaveLength(2));
  expect(await reader.page.getByRole('searchbox').inputValue()).toBe('lab');
  await reader.open('/portal/operate/requests?model=gemma3:270m');
  await reader.page.getByRole('cell', { name: 'gemma3:270m' }).first().waitFor();
  expect(await reader.page.getByRole('combobox', { name: 'Model', exact: true }).inputValue()).toBe('gemma3:270m');
  await reader.close();
});

test('a rule is written in minutes, hours and days, and help opens a document that the gate has with it', async () => {
  const reader = await readerOf(operator);
  await reader.open('/portal/operate/rules');
  await reader.press('New rule');
  const dialog = reader.page.getByRole('dialog');
  await dialog.getByLabel(/^Name/).fill('two-hours');
  await dialog.getByLabel('Window', { exact: false }).first().fill('2');
  await dialog.getByRole('combobox', { name: /^Only for these plans/ }).click();
  await reader.page.getByRole('option', { name: 'trial' }).click();
  await reader.page.keyboard.press('Tab');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await eventually(async () => {
    const { body } = await operator.get('/rules');
    expect(body.items.find((rule: { name: string }) => rule.name === 'two-hours')).toMatchObject({
      windowSeconds: 7_200,
      plans: ['trial'],
    });
  });
  await reader.page.getByRole('link', { name: 'Help' }).click();
  await reader.page.getByRole('heading', { level: 1 }).filter({ hasText: 'Rules and suspensions' }).waitFor();
  await reader.isSound();
  await reader.close();

  // The same document in the language of the page; one that is in English only says so.
  const japanese = await readerOf(operator, { width: 390, language: 'ja' });
  await japanese.open('/portal/operate/rules');
  await japanese.page.getByRole('link', { name: 'ヘルプ' }).click();
  await japanese.page.getByRole('heading', { level: 1, name: 'ルールと利用制限' }).waitFor();
  expect(await japanese.page.locator('.document').getAttribute('lang')).toBe('ja');
  await japanese.isSound();
  await japanese.open('/portal/help/routes');
  await japanese.sees('このドキュメントは英語版のみです。');
  await japanese.isSound();
  await japanese.close();
});

test('what was typed and begun is not lost: plan edits ask, a chat survives a reload, a rejection is undone, a pull goes on', async () => {
  const reader = await readerOf(operator);
  const { page } = reader;
  const dialog = page.getByRole('dialog');
  await reader.open('/portal/operate/plans');
  await page.getByRole('main').getByRole('link', { name: 'trial', exact: true }).click();
  await reader.fill('Maximum answer, in tokens', '77');
  await page.goBack();
  await dialog.getByText('Leave without saving?').waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  expect(page.url()).toMatch(/\/plans\/trial$/);
  const [closing] = await Promise.all([
    page.waitForEvent('dialog'),
    page.evaluate('void setTimeout(() => location.reload())'),
  ]);
  expect(closing.type()).toBe('beforeunload');
  await closing.dismiss();
  await page.getByRole('navigation').getByRole('link', { name: 'Rules' }).click();
  await dialog.getByText('Leave without saving?').waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  expect(await page.getByLabel('Maximum answer, in tokens').inputValue()).toBe('77');
  await page.getByRole('navigation').getByRole('link', { name: 'Rules' }).click();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await page.goBack();
  await dialog.getByRole('button', { name: 'Leave without saving' }).click();
  await page.getByRole('heading', { name: 'Plans', level: 1 }).waitFor();

  await reader.open('/portal/playground');
  await reader.fill('Message', 'What is a sekisho?');
  await reader.press('Send');
  await reader.sees(/tokens\/s/);
  await page.reload();
  await reader.sees('What is a sekisho?');
  await reader.sees(/tokens\/s/);

  const { body } = await new Visitor(gate.url).post('/applications', {
    name: 'Slip',
    email: 'slip@example.org',
    purpose: 'x',
    password: goodPassword,
  });
  await reader.open('/portal/operate/applications');
  const one = page.locator('.mantine-Paper-root').filter({ hasText: 'slip@example.org' });
  await one.getByRole('button', { name: 'Reject' }).click();
  await dialog.getByText('Reject Slip?').waitFor();
  await dialog.getByRole('button', { name: 'Reject' }).click();
  await page.getByRole('alert').getByRole('button', { name: 'Undo' }).click();
  await eventually(async () =>
    expect((await operator.get(`/applications/${body.id}`)).body).toMatchObject({ status: 'pending', decidedAt: null }),
  );

  let finish = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  await reader.open('/portal/operate/models');
  await reader.sees('gemma3:270m');
  fake.next(
    async (_, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      await answer.chunk('{"status":"pulling abc","total":100,"completed":40}\n');
      await held;
      await answer.chunk('{"status":"success"}\n');
      answer.end();
    },
    ({ url }) => url === '/api/pull',
  );
  await reader.fill(/^Name/, 'qwen3:0.6b');
  await reader.press('Pull');
  await reader.sees('Downloading');
  const toRules = page.getByRole('navigation').getByRole('link', { name: 'Rules' });
  await toRules.click();
  const asked = page.getByRole('dialog', { name: 'Leave while a pull runs?' });
  await asked.getByText('The gateway goes on with it.').waitFor();
  await asked.getByRole('button', { name: 'Cancel' }).click();
  await asked.waitFor({ state: 'detached' });
  await reader.sees('Downloading');
  await toRules.click();
  await asked.getByRole('button', { name: 'Leave' }).click();
  await page.getByRole('heading', { name: 'Rules', level: 1 }).waitFor();
  await page.getByRole('navigation').getByRole('link', { name: 'Models', exact: true }).click();
  await reader.sees('Downloading');
  // It is the gateway's: a reload only looks at it again.
  await page.reload();
  await reader.sees('Downloading');
  finish();
  await page.getByRole('listitem').filter({ hasText: 'qwen3:0.6b' }).getByText('Pulled').waitFor();
  await reader.isSound();
  await reader.close();
});

test('the overview says that updates stopped only when they had come, or have not come for seconds', async () => {
  const reader = await readerOf(operator);
  const { page } = reader;
  await page.clock.install();
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  await page.route('**/management/v1/events', async (route) => {
    await answered;
    await route.continue();
  });
  await reader.open('/portal/operate');
  const state = page.getByRole('status');
  await state.filter({ hasText: 'Connecting…' }).waitFor();
  await page.clock.fastForward(3_000);
  await state.filter({ hasText: 'Connecting…' }).waitFor();
  await page.clock.fastForward(4_000);
  await state.filter({ hasText: 'Disconnected: trying again' }).waitFor();
  answer();
  await state.filter({ hasText: 'Live' }).waitFor();
  await reader.close();
});

test('what is down is said: mail and provider with their last error, the gate over a page that stays, a part, and the model servers', async () => {
  const away = await openGate(fake.url, {
    SMTP_URL: 'smtp://127.0.0.1:9',
    MAIL_FROM: 'gate@example.org',
    OIDC_ISSUER: 'http://127.0.0.1:9',
    OIDC_CLIENT_ID: 'x',
    OIDC_CLIENT_SECRET: 'y',
  });
  const desk = await operatorOf(away);
  await desk.patch('/registration', { mode: 'approval', plan: 'default' });
  await new Visitor(away.url).post('/applications', {
    name: 'M',
    email: 'm@example.org',
    purpose: 'x',
    password: goodPassword,
  });
  const visitor = await Reader.at(browser, away.url, { language: 'ja' });
  await visitor.open('/portal/sign-in');
  await visitor.page
    .getByRole('button', { name: /でサインイン$/ })
    .last()
    .click();
  await visitor.sees('サインインのプロバイダーに接続できないか');
  await visitor.close();
  const there = await Reader.at(browser, away.url);
  await there.signInAs(desk);
  await there.open('/portal/operate/settings');
  const failing = there.page.getByRole('alert').filter({ hasText: 'The last error' });
  await eventually(async () => expect(await failing.count()).toBe(2));
  expect((await failing.allInnerTexts()).join(' ')).toContain('ECONNREFUSED');
  await there.isSound();
  await there.close();
  await away.stop();

  const reader = await readerOf(operator, { width: 390, language: 'ja' });
  const { page } = reader;
  await reader.open('/portal/operate/accounts');
  await reader.sees('Alpha lab');
  await page.route('**/management/**', (route) => route.abort());
  const banner = page.getByRole('alert').filter({ hasText: '前回読み込んだ内容' });
  await page.getByRole('searchbox').fill('lab');
  await banner.waitFor();
  await page.getByRole('searchbox').fill('');
  await reader.sees('Alpha lab');
  await page.unroute('**/management/**');
  await banner.waitFor({ state: 'detached' });
  await page.route('**/assets/rules-*', (route) => route.abort());
  await page.getByRole('button', { name: 'メニュー' }).click();
  await page.getByRole('navigation').getByRole('link', { name: 'ルール' }).click();
  await reader.sees('ページの一部を読み込めませんでした');
  await page.unroute('**/assets/rules-*');
  // The page reloads by itself once a minute where it reaches the gate, and has a button.
  const rules = page.getByRole('heading', { name: 'ルール', level: 1 });
  await page.getByRole('button', { name: 'ページを再読み込み' }).or(rules).first().click();
  await rules.waitFor();
  // What the browser has said of the part that it could not get.
  expect(reader.wrong.splice(0).every((said) => said.includes('dynamically imported'))).toBe(true);
  await fake.close();
  for (const path of ['/portal/home', '/portal/playground']) {
    await reader.open(path);
    await reader.sees('応答しているモデルサーバーがありません');
  }
  await reader.isSound();
  await reader.close();
});
