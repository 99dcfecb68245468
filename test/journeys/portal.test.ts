// The portal in a real browser: an applicant becomes a member and makes a first call, an operator decides, suspends and
// reinstates, keys rotate; in both languages, light and dark, on phone and desktop widths, with every page checked.
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { encode } from 'uqr';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Look, openBrowser, Reader } from '../browser.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, type TestGate, temporaryDirectory } from '../gate.ts';
import { nextTotp, totp } from '../totp.ts';
import { goodPassword, memberOf, operatorOf, type Reply, setUpCode, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let browser: Browser;
let operator: Visitor;
let place: string;
beforeAll(async () => {
  fake = await startFakeOllama();
  place = temporaryDirectory();
  const SERVER_SECRET_KEY = join(place, 'servers.key');
  writeFileSync(SERVER_SECRET_KEY, randomBytes(32).toString('hex'));
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '100000', SERVER_SECRET_KEY });
  operator = await operatorOf(gate);
  browser = await openBrowser();
});
afterAll(async () => {
  await browser.close();
  await gate.stop();
  await fake.close();
  rmSync(place, { recursive: true, force: true });
});

let people = 0;
const newMail = (): string => `reader-${++people}@example.org`;
const mode = async (next: string): Promise<void> => {
  await operator.patch('/registration', { mode: next, plan: 'default' });
};

/** A browser with a person's session. */
async function readerOf(visitor: Visitor, look: Look = {}): Promise<Reader> {
  const reader = await Reader.at(browser, gate.url, look);
  await reader.signInAs(visitor);
  return reader;
}

const call = (secret: string): Promise<Response> =>
  post(`${gate.url}/api/chat`, secret, {
    model: 'gemma3:270m',
    messages: [{ role: 'user', content: 'なぜ空は青いのですか?' }],
    stream: false,
  });

async function secretShown({ page }: Reader): Promise<string> {
  const text = await page
    .getByText(/^sekisho_\w+$/)
    .first()
    .innerText();
  return text.trim();
}

describe('an applicant', () => {
  test("opens the gate's URL in a browser, applies, gets a key, and makes a first call with it", async () => {
    await mode('open');
    const reader = await Reader.at(browser, gate.url);
    await reader.page.goto(gate.url);
    await reader.sees('Models behind this gateway');
    await reader.page.getByRole('link', { name: 'Apply for access' }).click();
    await reader.fill('Name *', 'Taro');
    await reader.fill('Email address *', newMail());
    await reader.fill('Purpose *', 'A first call');
    await reader.fill('Password *', goodPassword);
    await reader.press('Apply');
    // No further click: the key is what they came for.
    await reader.page.getByRole('heading', { name: 'You have access' }).waitFor();
    await reader.sees('It is shown only once');
    await reader.isSound();
    const secret = await secretShown(reader);
    // The lines to copy have the real URL, this key, and an existing model.
    const lines = await reader.page.getByRole('region', { name: 'Set-up for curl' }).last().innerText();
    expect(lines).toContain(`curl ${gate.url}/api/chat -H 'x-api-key: ${secret}'`);
    expect(lines).toContain('"model": "gemma3:270m"');
    expect((await call(secret)).status).toBe(200);
    await reader.press('I have copied it');
    await reader.sees('Hello, Taro');
    expect(await reader.page.getByRole('button', { name: 'Create your first key' }).count()).toBe(0);
    await eventually(async () => {
      await reader.open('/portal/usage');
      await reader.page.getByText('By model').click();
      expect(await reader.page.getByRole('cell', { name: 'gemma3:270m' }).count()).toBe(1);
    });
    expect(await reader.page.content()).not.toContain(secret);
    expect(reader.wrong).toEqual([]);
    await reader.close();
  });

  test('does the same in Japanese on a phone', async () => {
    await mode('open');
    const reader = await Reader.at(browser, gate.url, { language: 'ja', width: 390, scheme: 'dark' });
    await reader.open('/portal/apply');
    expect(await reader.heading()).toBe('利用を申請');
    await reader.fill(/お名前/, '花子');
    await reader.fill(/メールアドレス/, newMail());
    await reader.fill(/利用の目的/, '論文の要約');
    await reader.fill(/^パスワード/, goodPassword);
    await reader.press('申請する');
    await reader.page.getByRole('heading', { name: '利用を始められます' }).waitFor();
    expect((await call(await secretShown(reader))).status).toBe(200);
    await reader.isSound();
    await reader.press('コピーしました');
    await reader.sees('花子さん、こんにちは');
    await reader.close();
  });

  test('waits until an operator has decided, and sees the decision without reloading', async () => {
    await mode('approval');
    const mail = newMail();
    const applicant = await Reader.at(browser, gate.url);
    await applicant.open('/portal/apply');
    await applicant.fill('Name *', 'Jiro');
    await applicant.fill('Email address *', mail);
    await applicant.fill('Purpose *', 'A thesis about <b>gates</b>');
    await applicant.fill('Password *', goodPassword);
    await applicant.press('Apply');
    await applicant.sees('is waiting for an operator');
    const operatorReader = await readerOf(operator);
    await operatorReader.open('/portal/operate/applications');
    await operatorReader.sees('A thesis about <b>gates</b>');
    await operatorReader.fill('Message to the applicant', 'Welcome!');
    await operatorReader.press('Approve');
    await applicant.page.getByText('Message from the operator: Welcome!').waitFor();
    await applicant.sees('Create your first key');
    await Promise.all([applicant.close(), operatorReader.close()]);
  });

  test('comes in by an invitation link in every mode', async () => {
    await mode('invite');
    const operatorReader = await readerOf(operator);
    await operatorReader.open('/portal/operate/applications');
    await operatorReader.press('Create invitation');
    const link = await operatorReader.page.getByText(/\/portal\/apply#invite_/).innerText();
    await operatorReader.close();
    const guest = await Reader.at(browser, gate.url);
    await guest.page.goto(link.trim());
    await guest.fill('Name *', 'Guest');
    await guest.fill('Email address *', newMail());
    await guest.fill('Purpose *', 'Invited');
    await guest.fill('Password *', goodPassword);
    await guest.press('Apply');
    await guest.page.getByRole('heading', { name: 'You have access' }).waitFor();
    expect((await call(await secretShown(guest))).status).toBe(200);
    await guest.close();
  });
});

describe('an operator', () => {
  test('is made by the one-time link, and by nothing else', async () => {
    const code = await setUpCode(gate, `desk-${++people}`);
    const reader = await Reader.at(browser, gate.url);
    await reader.open(`/portal/setup#${code}`);
    await reader.fill('Name *', 'Boss');
    await reader.fill('Email address *', newMail());
    await reader.fill('Password *', goodPassword);
    await reader.press('Set up');
    await reader.page.getByRole('heading', { name: 'Overview' }).waitFor();
    await reader.close();
    const late = await Reader.at(browser, gate.url);
    await late.open(`/portal/setup#${code}`);
    await late.sees('This link is not valid');
    await late.close();
  });

  test('sees a running call, suspends the account, which ends it, and reinstates it on appeal', async () => {
    await mode('open');
    const mail = newMail();
    const member = await memberOf(gate, mail);
    const { body: key } = await member.post('/me/keys', { name: 'x' });
    const operatorReader = await readerOf(operator);
    await operatorReader.open('/portal/operate');
    await operatorReader.sees('Live');
    fake.next(async (_, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      await answer.chunk('{"model":"gemma3:270m","message":{"role":"assistant","content":"a"},"done":false}\n');
    });
    const running = await post(`${gate.url}/api/chat`, key.secret, {
      model: 'gemma3:270m',
      messages: [{ role: 'user', content: 'x' }],
    });
    const reading = running.text().catch(() => 'cut');
    await operatorReader.sees(mail.split('@', 1)[0] as string);
    await operatorReader.press('Suspend');
    await operatorReader.page.getByRole('dialog').getByRole('button', { name: 'Suspend' }).click();
    await operatorReader.sees('You can lift it');
    await reading;
    await eventually(async () => expect((await call(key.secret)).status).toBe(403));

    const page = await readerOf(member);
    await page.open('/portal/home');
    await page.sees('Your access is restricted');
    await page.fill('What should the operator know?', 'It was a loop in my script; it is mended.');
    await page.press('Send the appeal');
    await page.sees('You appealed');

    await operatorReader.open('/portal/operate/suspensions');
    await operatorReader.sees('It was a loop in my script');
    await operatorReader.fill('Your answer', 'Fine.');
    await operatorReader.press('Answer');
    await operatorReader.sees('Answered.');
    await eventually(async () => expect((await call(key.secret)).status).toBe(200));
    await page.open('/portal/home');
    await page.sees('Your limits');
    expect(await page.page.getByText('Your access is restricted').count()).toBe(0);
    await Promise.all([operatorReader.close(), page.close()]);
  });

  test('previews a call, changes the plan, and the preview changes', async () => {
    await operator.post('/plans', {
      name: `narrow-${++people}`,
      like: 'default',
      models: ['gemma3:*'],
      tokensPerMinute: 10_000,
    });
    const operatorReader = await readerOf(operator);
    await operatorReader.open(`/portal/operate/plans/narrow-${people}`);
    await operatorReader.fill('Model *', 'llama3');
    await operatorReader.press('Check');
    await operatorReader.sees('Refused with 404');
    await operatorReader.fill('Model *', 'gemma3:270m');
    await operatorReader.fill('Maximum answer that it requests', '999999');
    await operatorReader.press('Check');
    await operatorReader.sees('Allowed');
    await operatorReader.sees(/options\.num_predict=16384/);
    await operatorReader.sees(/16,884 of 10,000\. It is allowed only because/);
    await operatorReader.fill('Maximum answer, in tokens', '100');
    await operatorReader.press('Save');
    await operatorReader.sees('Plan saved.');
    await operatorReader.press('Check');
    await operatorReader.sees(/options\.num_predict=100/);
    await operatorReader.sees(/600 of 10,000, of which 0/);
    // Another operator was quicker.
    await operator.patch(`/plans/narrow-${people}`, { maxImages: 3 });
    await operatorReader.fill('Maximum answer, in tokens', '200');
    await operatorReader.press('Save');
    await operatorReader.sees('It has been changed in the meantime.');
    await operatorReader.close();
  });

  test('pulls a model with its progress, and deletes one after a confirmation', async () => {
    const operatorReader = await readerOf(operator);
    await operatorReader.open('/portal/operate/models');
    await operatorReader.page.getByRole('cell', { name: 'llama3:latest' }).waitFor();
    let goOn!: () => void;
    const seen = new Promise<void>((resolve) => (goOn = resolve));
    const isPull = ({ url }: { readonly url: string }): boolean => url === '/api/pull';
    fake.next(async (_, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      await answer.chunk('{"status":"pulling manifest"}\n');
      await answer.chunk('{"status":"pulling abc","digest":"sha256:abc","total":1000000000,"completed":250000000}\n');
      await seen;
      await answer.chunk('{"status":"success"}\n');
      answer.end();
    }, isPull);
    await operatorReader.fill('Name *', 'gemma3:4b');
    await operatorReader.press('Pull');
    await operatorReader.sees('Downloading: 250 MB of 1 GB');
    expect(await operatorReader.page.getByRole('progressbar').getAttribute('aria-valuenow')).toBe('25');
    goOn();
    await operatorReader.page.getByRole('listitem').filter({ hasText: 'gemma3:4b' }).getByText('Pulled').waitFor();
    await operatorReader.close();
  });

  test('adds a model server with its secret, drains it, takes it back and removes it, on a phone as well', async () => {
    const second = await startFakeOllama();
    second.models = [{ name: 'second:1b' }];
    const shown = async (): Promise<Reply['body']> =>
      (await operator.get('/servers')).body.items.find(({ name }: Reply['body']) => name === 'box-2');
    const reader = await readerOf(operator);
    await reader.open('/portal/operate/servers');
    await reader.sees('Set by UPSTREAM');
    await reader.press('Add a server');
    const dialog = reader.page.getByRole('dialog');
    await reader.fill('Name *', 'box-2');
    await reader.fill('Address *', 'http://box/?key=1');
    await dialog.getByRole('button', { name: 'Add a server' }).click();
    await reader.sees('An address must not have anything after its path.');
    await reader.fill('Address *', `${second.url}/v1`);
    await reader.fill('Secret', 'sk-typed-on-the-page');
    await reader.fill('Slots', 'second:1b=2\n* = 4');
    // With the message about what was wrong before.
    await reader.isSound();
    await dialog.getByRole('button', { name: 'Add a server' }).click();
    await reader.sees('Server added.');
    await reader.sees('second:1b: 2');
    await reader.sees('others: 4');
    await eventually(async () =>
      expect(await shown()).toMatchObject({ state: 'up', slots: { '*': 4, 'second:1b': 2 } }),
    );
    expect(second.requests.at(-1)?.headers['authorization']).toBe('Bearer sk-typed-on-the-page');
    expect(await reader.page.content()).not.toContain('sk-typed');
    // The gateway records its address; people read its name.
    await reader.open('/portal/operate');
    await reader.page.getByTitle(second.url).getByText('box-2', { exact: true }).waitFor();
    await reader.close();

    const phone = await readerOf(operator, { language: 'ja', width: 390, scheme: 'dark' });
    await phone.open('/portal/operate/servers');
    const card = phone.page.locator('.mantine-Paper-root', { hasText: 'box-2' });
    await card.getByRole('button', { name: '変更' }).click();
    await phone.page
      .getByRole('dialog')
      .getByText('保存されています')
      .or(phone.page.getByPlaceholder(/保存されています/))
      .waitFor();
    await phone.fill('重み *', '3');
    await phone.isSound();
    await phone.press('保存');
    await phone.sees('サーバーを変更しました。');
    expect(await shown()).toMatchObject({ weight: 3, secret: { from: 'stored' }, version: 2 });
    await card.getByRole('button', { name: '切り離し' }).click();
    await phone.page.getByRole('dialog').getByRole('button', { name: '切り離し' }).click();
    await card.getByText('停止中').waitFor();
    await phone.open('/portal/operate/models');
    const heading = phone.page.getByRole('heading', { name: 'box-2' }).locator('..');
    await heading.getByText('停止中').waitFor();
    expect(await heading.getByText('応答なし').count()).toBe(0);
    await phone.open('/portal/operate/servers');
    await card.getByRole('button', { name: '復帰' }).click();
    await card.getByText('応答あり').waitFor();
    await card.getByRole('button', { name: '削除' }).click();
    await phone.page.getByRole('dialog').getByRole('button', { name: '削除' }).click();
    await phone.sees('サーバーを削除しました。');
    await eventually(async () => expect(await card.count()).toBe(0));
    expect(await shown()).toBeUndefined();
    await phone.close();
    await second.close();
  });

  test('publishes a service, sees what is wrong with it, changes it and removes it', async () => {
    const reader = await readerOf(operator);
    await reader.open('/portal/operate/services');
    await reader.sees('No services yet.');
    await reader.press('Publish a service');
    const dialog = reader.page.getByRole('dialog');
    const save = (): Promise<void> => dialog.getByRole('button', { name: 'Save' }).click();
    await reader.fill('Name *', 'store');
    await reader.fill('Options', '{ "path": "/v1/store",');
    await reader.sees('This is not a JSON object.');
    await reader.fill('Options', '{ "path": "/v1/store", "upstreams": ["http://127.0.0.1:9"] }');
    await save();
    await reader.sees('addresses under /v1 belong to the gateway itself');
    await reader.fill('Options', '{ "path": "/store", "upstreams": ["http://127.0.0.1:9"], "healthPath": "/up" }');
    await save();
    await reader.sees('At /store, for keys with route:store');
    await reader.sees('down');
    await reader.isSound();
    await reader.press('Edit');
    await reader.fill('Options', '{ "scope": "route:shared" }');
    await save();
    await reader.sees('At /store, for keys with route:shared');
    await reader.press('Remove');
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await reader.sees('No services yet.');
    await reader.close();
  });

  test('gives a model another name, also for a plan, with fallbacks, and takes it away again', async () => {
    const reader = await readerOf(operator);
    await reader.open('/portal/operate/model-names');
    await reader.sees('No model names yet.');
    await reader.press('Add a name');
    const dialog = reader.page.getByRole('dialog');
    await reader.fill('Name *', 'usual');
    await dialog.getByLabel('Stands for').fill('usual:latest');
    await dialog.getByRole('button', { name: 'Add a name' }).click();
    await reader.sees('"usual" leads to itself.');
    await dialog.getByLabel('Stands for').fill('gemma3:270m');
    await reader.page.keyboard.press('Tab');
    await dialog.getByRole('button', { name: 'Add a model for a plan' }).click();
    await dialog.getByRole('combobox', { name: 'Plan', exact: true }).click();
    await reader.page.getByRole('option', { name: 'trial' }).click();
    await reader.fill('Model for the plan', 'far:1b');
    await reader.page.keyboard.press('Tab');
    await dialog.getByLabel('Fallbacks').fill('llama3');
    await reader.page.keyboard.press('Tab');
    await reader.isSound();
    await dialog.getByRole('button', { name: 'Add a name' }).click();
    await reader.sees('Name added.');
    await reader.sees('For the plan trial: far:1b');
    await reader.sees('No server has far:1b at the moment.');
    const { items } = (await operator.get('/model-names')).body;
    expect(items).toMatchObject([
      { name: 'usual', target: 'gemma3:270m', plans: { trial: 'far:1b' }, fallbacks: ['llama3'] },
    ]);
    await reader.press('Edit');
    await reader.press('Remove the model for trial');
    await reader.press('Save');
    await reader.sees('Name saved.');
    expect((await operator.get('/model-names/usual')).body).toMatchObject({
      plans: {},
      fallbacks: ['llama3'],
      version: 2,
    });
    // Another operator was quicker.
    await reader.press('Edit');
    await reader.page.getByRole('dialog').getByLabel('Fallbacks').waitFor();
    await operator.patch('/model-names/usual', { fallbacks: [] });
    await reader.press('Save');
    await reader.sees('It has been changed in the meantime.');
    await reader.page.keyboard.press('Escape');
    await reader.press('Remove');
    await reader.page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await reader.sees('Name removed.');
    await reader.sees('No model names yet.');
    await reader.close();
  });

  test('pulls a model to all servers, where there are several', async () => {
    const box = await startFakeOllama();
    const { body } = await operator.post('/servers', { name: 'box', address: box.url, kind: 'ollama' });
    const heard = (): number[] => [fake, box].map(({ calls }) => calls.filter(({ url }) => url === '/api/pull').length);
    const before = heard();
    for (const [language, label, all, name, pull] of [
      ['en', 'Model servers', 'All servers', 'Name *', 'Pull'],
      ['ja', 'モデルサーバー', 'すべてのサーバー', '名前 *', '取得'],
    ] as const) {
      const operatorReader = await readerOf(operator, { language, ...(language === 'ja' ? { width: 390 } : {}) });
      await operatorReader.open('/portal/operate/models');
      await operatorReader.page
        .getByRole('combobox', { name: label })
        .or(operatorReader.page.getByLabel(label))
        .first()
        .click();
      await operatorReader.page.getByRole('option', { name: all }).click();
      await operatorReader.fill(name, 'qwen3:1b');
      await operatorReader.press(pull);
      const pulls = operatorReader.page.getByRole('listitem').filter({ hasText: 'qwen3:1b' });
      await eventually(async () =>
        expect(await pulls.getByText(/^(Pulled|取得済み)$/).count()).toBe(language === 'en' ? 2 : 4),
      );
      await operatorReader.isSound();
      await operatorReader.close();
    }
    expect(heard().map((count, at) => count - (before[at] as number))).toEqual([2, 2]);
    await operator.delete(`/servers/${body.id}`);
    await box.close();
  });

  test('with read-only rights finds no button that changes anything', async () => {
    const operatorReader = await readerOf(await operatorOf(gate, 'auditor'));
    for (const [path, heading] of [
      ['accounts', 'Accounts'],
      ['keys', 'All keys'],
      ['plans', 'Plans'],
      ['rules', 'Rules'],
      ['suspensions', 'Suspensions'],
      ['servers', 'Model servers'],
      ['model-names', 'Model names'],
    ] as const) {
      await operatorReader.open(`/portal/operate/${path}`);
      expect(await operatorReader.heading()).toBe(heading);
      await operatorReader.page.waitForLoadState('networkidle');
      const acts = operatorReader.page
        .locator('main')
        .getByRole('button', { name: /new|add|revoke|rotate|delete|drain|remove|lift|take a step|change/i });
      expect(await acts.count(), path).toBe(0);
    }
    await operatorReader.close();
  });
});

describe('a member', () => {
  beforeEach(() => mode('open'));

  test('rotates a key with an overlap: both work, then only the new one', async () => {
    await mode('open');
    const member = await memberOf(gate, newMail());
    const { body: key } = await member.post('/me/keys', { name: 'turning' });
    const reader = await readerOf(member);
    await reader.open('/portal/keys');
    await reader.press('Rotate');
    await reader.page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click();
    await reader.sees('It is shown only once');
    const fresh = await secretShown(reader);
    expect([(await call(key.secret)).status, (await call(fresh)).status]).toEqual([200, 200]);
    await gate.manage(({ signIn: { db } }) =>
      db
        .updateTable('keys')
        .set({ expires_at: Date.now() - 1 })
        .where('id', '=', key.id)
        .execute(),
    );
    await eventually(async () => expect((await call(key.secret)).status).toBe(401));
    expect((await call(fresh)).status).toBe(200);
    await reader.close();
  });

  test('chats in the playground, through the gate, with a key that ends with the page', async () => {
    const member = await memberOf(gate, newMail());
    const reader = await readerOf(member);
    await reader.open('/portal/playground');
    await reader.fill('Message', 'なぜ空は青いのですか?');
    await reader.press('Send');
    await reader.sees(/tokens\/s/);
    await reader.isSound();
    await reader.page.getByRole('link', { name: 'Keys' }).click();
    await eventually(async () => {
      const { account } = (await member.get('/session')).body;
      const keys = await gate.manage((store) => store.listKeys(account.id));
      expect(keys).toMatchObject([{ name: 'playground', status: 'revoked' }]);
    });
    await reader.close();
  });

  test('signs in with a passkey, and with a password, and is led to the page they wanted', async () => {
    const mail = newMail();
    const member = await memberOf(gate, mail);
    const first = await readerOf(member);
    await first.addAuthenticator();
    await first.open('/portal/me');
    await first.press('Add a passkey');
    await first.page.getByRole('dialog').getByLabel('Name').fill('Reading room');
    await first.press('Continue');
    await first.sees('Passkey added.');
    await first.sees(/^Added .* · not used yet$/);
    await first.press('Rename Reading room');
    await first.page.getByRole('dialog').getByLabel('Name').fill('図書館のノート');
    await first.page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    await first.sees('Passkey renamed.');
    await first.sees('図書館のノート');
    await first.page.getByRole('button', { name: /Signed in as/ }).click();
    await first.page.getByRole('menuitem', { name: 'Sign out' }).click();
    await first.sees('Models behind this gateway');
    await first.open('/portal/sign-in');
    await first.press('Sign in with a passkey');
    await first.sees(/^Hello, /);
    await first.open('/portal/me');
    await first.sees(/ · last used /);
    await first.sees(/^Chrome, Linux · 127\.0\.0\.1$/);
    await first.close();

    const reader = await Reader.at(browser, gate.url);
    // A signed-out person is led to the sign-in page, and back to the page they wanted.
    await reader.open('/portal/keys');
    await reader.fill('Email address *', mail);
    await reader.fill('Password *', 'wrong wrong');
    await reader.press('Sign in');
    await reader.sees('Wrong email or password');
    await reader.fill('Password *', goodPassword);
    await reader.press('Sign in');
    await reader.page.getByRole('heading', { name: 'Keys', level: 1 }).waitFor();
    await reader.close();
  });

  test('sets up a second step, is asked for it, and can use a backup code', async () => {
    const mail = newMail();
    const reader = await readerOf(await memberOf(gate, mail));
    await reader.open('/portal/me');
    await reader.page.getByLabel('Your password *').fill(goodPassword);
    await reader.press('Set up');
    const address = await reader.page.getByRole('link', { name: 'Open in the app' }).getAttribute('href');
    const secret = new URL(address ?? '').searchParams.get('secret') ?? '';
    await reader.page.getByRole('button', { name: 'Copy: Key for your authenticator app' }).click();
    await eventually(async () => expect(await reader.page.evaluate('navigator.clipboard.readText()')).toBe(secret));
    const picture = reader.page.getByRole('img', { name: 'QR code for your authenticator app' });
    const dark = ((await picture.locator('path').getAttribute('d')) ?? '').match(/M\d+ \d+/g);
    const expected = encode(address ?? '', { ecc: 'M', border: 4 }).data;
    expect(dark).toEqual(expected.flatMap((row, y) => row.flatMap((is, x) => (is ? [`M${x} ${y}`] : []))));
    await reader.isSound();
    const [backup = '', another = ''] = await reader.page.locator('code', { hasText: /^\w+-\w+$/ }).allInnerTexts();
    await reader.fill('Six-digit code *', totp(secret));
    await reader.press('Turn on');
    await reader.sees('The second step is on.');
    const enter = async (): Promise<void> => {
      await reader.page.getByRole('button', { name: /Signed in as/ }).click();
      await reader.page.getByRole('menuitem', { name: 'Sign out' }).click();
      await reader.sees('Models behind this gateway');
      await reader.open('/portal/sign-in');
      await reader.fill('Email address *', mail);
      await reader.fill('Password *', goodPassword);
      await reader.press('Sign in');
      await reader.page.getByRole('heading', { name: 'Second step' }).waitFor();
    };
    await enter();
    await reader.isSound();
    await reader.page
      .getByLabel(/Six digits|PinInput/)
      .first()
      .pressSequentially(nextTotp(secret));
    await reader.sees(/^Hello, /);
    await enter();
    await reader.press('Use a backup code instead');
    await reader.fill('Backup code', backup);
    await reader.press('Continue');
    await reader.sees(/^Hello, /);
    // Changes as sensitive as a sign-in ask for a code again.
    await reader.open('/portal/me');
    const form = reader.page.locator('form', { has: reader.page.getByRole('button', { name: 'Turn off' }) });
    const end = async (code: string): Promise<void> => {
      await form.getByLabel('Your password *').fill(goodPassword);
      await form.getByLabel(/or a backup code/).fill(code);
      await form.getByRole('button', { name: 'Turn off' }).click();
    };
    await reader.press('New backup codes');
    await reader.page.getByRole('dialog').getByRole('button', { name: 'New backup codes' }).click();
    await reader.sees(/^Your new backup codes/);
    const [renewed = ''] = await reader.page.locator('code', { hasText: /^\w+-\w+$/ }).allInnerTexts();
    await end(another);
    await reader.sees('The code is wrong');
    await reader.isSound();
    await end(renewed);
    await reader.sees('The second step is off.');
    await reader.close();
  });

  test('closes their account after confirming twice, and nothing of them remains', async () => {
    const mail = newMail();
    const reader = await readerOf(await memberOf(gate, mail));
    await reader.open('/portal/me');
    await reader.press('Delete the account');
    const dialog = reader.page.getByRole('dialog');
    expect(await dialog.getByRole('button', { name: 'Delete the account' }).isDisabled()).toBe(true);
    const word = dialog.getByLabel('Type “delete” to confirm');
    await word.fill('delet');
    await word.press('Enter');
    expect(await dialog.isVisible()).toBe(true);
    await word.fill('delete');
    await word.press('Enter');
    await reader.sees('Models behind this gateway');
    expect((await operator.get(`/accounts?search=${mail}`)).body.items).toEqual([]);
    await reader.close();
  });
});

test('A14: user input in any field is shown as text and widens no page', async () => {
  await mode('approval');
  const endless = 'W'.repeat(1_800);
  const evil = `<img src=x onerror="window.stolen=1"><script>window.stolen=1</script> {{name}} $t(shell:cancel)`;
  const phone: Look = { width: 390 };
  const stranger = await Reader.at(browser, gate.url, phone);
  await stranger.open('/portal/apply');
  await stranger.fill('Name *', evil);
  await stranger.fill('Email address *', newMail());
  await stranger.fill('Purpose *', evil + endless);
  await stranger.fill('Requested models', 'javascript:alert(1)');
  await stranger.fill('Password *', goodPassword);
  await stranger.press('Apply');
  await stranger.sees('is waiting for an operator');
  const { body: list } = await operator.get('/applications?status=pending&limit=1');
  await operator.post(`/applications/${list.items[0].id}/approve`, { decision: evil + endless });
  const { account } = (await operator.get(`/applications/${list.items[0].id}`)).body;
  for (const name of [evil, '__proto__', 'constructor', 'W'.repeat(200)]) {
    await operator.post('/keys', { name, account });
    await operator.post('/accounts', { name });
  }
  await operator.post('/suspensions', { whom: account, step: 'warn', reason: evil + endless });
  const long = `${'w'.repeat(80)}/${'W'.repeat(80)}`;
  await operator.post('/model-names', {
    name: long,
    target: `${long}:x`,
    plans: { trial: long.slice(9) },
    fallbacks: [long.slice(5)],
  });
  const reach = { plans: ['default', 'trial'], slots: { [long]: 3 } };
  await operator.post('/servers', { name: 'w'.repeat(40), address: `http://127.0.0.1:9/${'w'.repeat(400)}`, ...reach });
  const operatorReader = await readerOf(operator, phone);
  for (const path of [
    '',
    '/servers',
    '/model-names',
    '/applications',
    '/accounts',
    `/accounts/${account as string}`,
    '/keys',
    '/suspensions',
    '/audit',
    '/usage',
  ])
    await visit(operatorReader, `/portal/operate${path}`);
  for (const path of ['/home', '/keys', '/me']) await visit(stranger, `/portal${path}`);
  await Promise.all([operatorReader.close(), stranger.close()]);

  async function visit(reader: Reader, path: string): Promise<void> {
    await reader.open(path);
    await reader.page.waitForLoadState('networkidle');
    expect(await reader.page.evaluate('window.stolen'), path).toBeUndefined();
    expect(await reader.page.locator('img[src="x"]').count(), path).toBe(0);
    const beyond = await reader.page.evaluate(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    );
    expect(beyond, path).toBeLessThanOrEqual(0);
    expect(reader.wrong, path).toEqual([]);
  }
});

test('an operator sees why an application is held, and what the cached and reasoning tokens were', async () => {
  await mode('approval');
  const [name, asked] = ['Held Back', { purpose: 'x', password: goodPassword }];
  const { body } = await new Visitor(gate.url).post('/applications', { ...asked, name, email: newMail() });
  await mode('open');
  const member = await memberOf(gate, newMail());
  const { body: key } = await member.post('/me/keys', { name: 'x' });
  await call(key.secret);
  const rows = await gate.ledger(1);
  const row = rows.find(({ keyId }) => keyId === key.id)!;
  await gate.manage(async (store) => {
    await store.signIn.db.updateTable('applications').set({ held: 'second' }).where('id', '=', body.id).execute();
    const parts = { promptTokens: 900, cacheReadTokens: 723, cacheWriteTokens: 31 };
    const reasoned = { completionTokens: 600, reasoningTokens: 512 };
    await store.appendUsage([{ ...row, id: `${row.id.slice(0, -1)}~` as typeof row.id, ...parts, ...reasoned }]);
  });
  for (const [look, words] of [
    [{ language: 'en' }, ['this mailbox already has an account', 'from the cache', 'Reasoning tokens']],
    [
      { language: 'ja', width: 390 },
      ['このメールアドレスのアカウントがすでにあります', 'うちキャッシュ読み取り', 'うち推論トークン'],
    ],
  ] as const) {
    const [operatorReader, inside] = [await readerOf(operator, look), await readerOf(member, look)];
    await operatorReader.open('/portal/operate/applications');
    await operatorReader.sees(words[0]);
    await operatorReader.isSound();
    await operatorReader.open('/portal/operate/usage');
    await operatorReader.sees(words[1]);
    await operatorReader.sees(words[2]);
    await operatorReader.isSound();
    await inside.open('/portal/usage');
    await inside.sees(words[1]);
    await inside.sees(words[2]);
    await inside.isSound();
    await Promise.all([operatorReader.close(), inside.close()]);
  }
});

test('a chosen language stays, on other pages and in other browsers', async () => {
  await mode('open');
  const member = await memberOf(gate, newMail());
  const reader = await readerOf(member, { language: 'en' });
  await reader.open('/portal/home');
  await reader.press('English');
  await reader.page.getByRole('menuitem', { name: '日本語' }).click();
  await reader.sees(/こんにちは/);
  await eventually(async () => expect((await member.get('/session')).body.person.language).toBe('ja'));
  await reader.close();
  const elsewhere = await readerOf(member, { language: 'en' });
  await elsewhere.open('/portal/home');
  await elsewhere.sees(/こんにちは/);
  await elsewhere.close();
});

test('a first visit loads little, nothing from other sites, and leads to the license of everything in it', async () => {
  await mode('open');
  const reader = await Reader.at(browser, gate.url);
  await reader.open('/portal/');
  const page = reader.page.getByRole('link', { name: 'Open-source licenses' });
  const licenses = await fetch(`${gate.url}${(await page.getAttribute('href')) ?? ''}`);
  expect(licenses.headers.get('content-type')).toBe('text/plain;charset=utf-8');
  const texts = (await licenses.text()).split(`\n${'-'.repeat(72)}\n`);
  for (const name of ['Icons by Tabler', 'react', 'react-dom', '@mantine/core', '@tanstack/react-query', 'i18next'])
    expect(
      texts.find((text) => text.trim().startsWith(name === 'Icons by Tabler' ? name : `${name} `)),
      name,
    ).toMatch(/copyright/i);
  expect(texts.filter((text) => /License: unknown/.test(text))).toEqual([]);
  await reader.close();
  // Each with an empty cache: pages that links, emails and bookmarks lead to.
  const member = await memberOf(gate, 'first.visit@example.org');
  const visits: readonly (readonly [path: string, visitor?: Visitor])[] = [
    ...['/', '/apply', '/sign-in', '/setup#x', '/trust', '/status'].map((path) => [path] as const),
    ['/home', member],
    ['/requests', member],
    ['/usage', member],
    ['/operate/latency', operator],
    ['/operate/settings', operator],
    ['/reference', operator],
  ];
  const loads: [path: string, bytes: number][] = [];
  for (const [path, visitor] of visits) loads.push([path, await loadOf(path, visitor)]);
  expect(
    loads.filter(([, bytes]) => bytes < 50_000 || bytes > 350 * 1024),
    JSON.stringify(loads),
  ).toEqual([]);
});

/** The bytes of a page and of everything that it loads, as they cross the network. */
async function loadOf(path: string, visitor: Visitor | undefined): Promise<number> {
  const reader = await Reader.at(browser, gate.url);
  if (visitor) await reader.signInAs(visitor);
  let bytes = 0;
  const devtools = await reader.context.newCDPSession(reader.page);
  await devtools.send('Network.enable');
  devtools.on(
    'Network.loadingFinished',
    ({ encodedDataLength }: { encodedDataLength: number }) => (bytes += encodedDataLength),
  );
  await reader.open(`/portal${path}`);
  await reader.page.locator('h1').first().waitFor();
  await reader.page.locator('.mantine-Skeleton-root').first().waitFor({ state: 'detached' });
  await reader.page.waitForLoadState('networkidle');
  expect(reader.wrong).toEqual([]);
  await reader.close();
  return bytes;
}
