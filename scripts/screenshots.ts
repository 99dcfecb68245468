// Takes the screenshots that documents show, from a gate with a few weeks of invented use:
//
//   node scripts/screenshots.ts
//
// Or those of every page in every look (width, language, light or dark), or of the named pages and looks, into another directory:
//
//   node scripts/screenshots.ts <directory> [page | look …]
//   node scripts/screenshots.ts /tmp/pictures 390-ja-light 390-ja-dark home keys
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setDefaultCACertificates } from 'node:tls';
import { newRequestId } from '../src/domain/id.ts';
import type { UsageRecord } from '../src/domain/usage.ts';
import { openBrowser, Reader } from '../test/browser.ts';
import { makeAuthority, makeCertificate } from '../test/certificates.ts';
import { startFakeOllama } from '../test/fake-ollama/fake-ollama.ts';
import { openGate, post, temporaryDirectory } from '../test/gate.ts';
import { goodPassword, memberOf, operatorOf, Visitor } from '../test/visitor.ts';

const [elsewhere, ...named] = process.argv.slice(2);
const only = named.filter((name) => !/^\d/.test(name));
const looks = named.filter((name) => /^\d/.test(name));
const out = elsewhere ?? join(import.meta.dirname, '../docs/screenshots');
mkdirSync(out, { recursive: true });

const fake = await startFakeOllama({ pieceDelayMs: 150 });
const place = temporaryDirectory();
const authority = makeAuthority(place, 'Authority of the lab');
const pair = makeCertificate(place, ['DNS:gate.example.org', 'DNS:localhost'], { authority, days: 61 });
const sealingKey = join(place, 'servers.key');
writeFileSync(sealingKey, randomBytes(32).toString('hex'));
setDefaultCACertificates([readFileSync(authority.cert, 'utf8')]);
const gate = await openGate(fake.url, {
  APPLICATIONS_PER_MINUTE: '1000',
  GATE_NAME: '研究室LLM',
  SLOTS: '2',
  SERVER_SECRET_KEY: sealingKey,
  TLS_CERT: pair.cert,
  TLS_KEY: pair.key,
});
const operator = await operatorOf(gate);
await operator.patch('/registration', { mode: 'open', plan: 'default' });

const members: { visitor: Visitor; id: string; key: string; keyId: string }[] = [];
for (const name of ['hanako', 'taro', 'sato', 'suzuki', 'tanaka']) {
  const visitor = await memberOf(gate, `${name}@lab.example`);
  await visitor.patch('/me', {
    name: { hanako: '花子', taro: '太郎', sato: '佐藤', suzuki: '鈴木', tanaka: '田中' }[name],
  });
  const { body: key } = await visitor.post('/me/keys', { name: name === 'hanako' ? 'ノートパソコン' : 'laptop' });
  const { id } = (await visitor.get('/session')).body.account;
  members.push({ visitor, id, key: key.secret, keyId: key.id });
}
const [hanako] = members as [(typeof members)[number]];
await hanako.visitor.post('/me/keys', { name: '論文の要約', models: ['gemma3:*'], limits: { tokensPerDay: 50_000 } });

// Three weeks of use, more on workdays.
const day = 86_400_000;
const rows: UsageRecord[] = [];
for (let back = 21; back >= 0; back--) {
  for (const [i, { id, keyId }] of members.entries()) {
    const calls = Math.round((((back * 7 + i * 5) % 11) + 3) * (back % 7 < 2 ? 0.3 : 1));
    for (let n = 0; n < calls; n++) {
      const at = Date.now() - back * day - ((n * 53 + i * 17) % 600) * 60_000 - 60_000;
      rows.push({
        id: newRequestId(at),
        at,
        keyId: keyId as UsageRecord['keyId'],
        accountId: id as UsageRecord['accountId'],
        operation: 'chat',
        model: ['gemma3:4b', 'gemma3:270m', 'qwen3:8b'][(n + i) % 3] ?? null,
        upstream: fake.url,
        outcome: n % 13 === 12 ? 'refused' : 'completed',
        status: n % 13 === 12 ? 429 : 200,
        code: n % 13 === 12 ? 'rate_limited' : null,
        streamed: true,
        promptTokens: n % 13 === 12 ? 0 : 200 + ((n * 37) % 900),
        completionTokens: n % 13 === 12 ? 0 : 300 + ((n * 91) % 1400),
        source: 'exact',
        bytesIn: 900,
        bytesOut: 4000,
        firstByteMs: 180,
        durationMs: 4200,
        queuedMs: 0,
        address: '192.0.2.7',
        repeats: 1,
        cacheReadTokens: 0,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
        askedModel: null,
        fallbackFor: null,
      });
    }
  }
}
await gate.manage((store) => store.appendUsage(rows));
await operator.post('/suspensions', {
  whom: members[3]?.id,
  step: 'slow',
  reason: 'heavy-hour: 6,214,003 tokens in an hour, and 6,000,000 may be',
  endsAt: new Date(Date.now() + 3_000_000).toISOString(),
});
await operator.patch('/registration', { mode: 'approval' });
for (const [name, email, purpose] of [
  ['高橋', 'takahashi@univ.example', '卒業論文で、方言の書き起こしを要約したいです。'],
  ['Mika', 'mika@studio.example', 'Captions for a small archive of photographs.'],
] as const)
  await new Visitor(gate.url).post('/applications', {
    name,
    email,
    purpose,
    models: ['gemma3:4b'],
    password: goodPassword,
  });
const { items: applications } = (await operator.get('/applications?status=pending')).body;

// A server that answers, one that is out of service, one that does not answer, and names.
const second = await startFakeOllama();
second.models = [{ name: 'qwen3:8b' }, { name: 'llama3.3:70b' }];
const weighty = { weight: 2, slots: { 'qwen3:8b': 4, '*': 2 }, plans: ['trusted'], secret: 'sk-of-the-pictures' };
await operator.post('/servers', { name: 'big-box', address: second.url, ...weighty });
await operator.post('/servers', { name: 'spare', address: 'http://127.0.0.1:9', maintenance: true });
await operator.post('/servers', { name: 'old-box', address: 'http://127.0.0.1:10' });
await operator.post('/model-names', {
  name: 'default',
  target: 'gemma3:270m',
  plans: { trusted: 'qwen3:8b' },
  fallbacks: ['llama3'],
});
await operator.post('/model-names', { name: 'gpt-4o-mini', target: 'qwen3:8b' });
await operator.post('/model-names', { name: 'llama3.3:70b', fallbacks: ['qwen3:8b', 'gemma3:270m'] });
await operator.post('/model-names', { name: 'translator', target: 'aya:8b' });

const browser = await openBrowser();
const pages: readonly [name: string, path: string, who: 'visitor' | 'member' | 'operator'][] = [
  ['welcome', '/', 'visitor'],
  ['apply', '/apply', 'visitor'],
  ['sign-in', '/sign-in', 'visitor'],
  ['setup', '/setup#code', 'visitor'],
  ['reset', '/reset#code', 'visitor'],
  ['confirm', '/confirm#code', 'visitor'],
  ['home', '/home', 'member'],
  ['keys', '/keys', 'member'],
  ['usage', '/usage', 'member'],
  ['playground', '/playground', 'member'],
  ['me', '/me', 'member'],
  ['overview', '/operate', 'operator'],
  ['applications', '/operate/applications', 'operator'],
  ['accounts', '/operate/accounts', 'operator'],
  ['account', `/operate/accounts/${members[3]?.id ?? ''}`, 'operator'],
  ['all-keys', '/operate/keys', 'operator'],
  ['plans', '/operate/plans', 'operator'],
  ['plan', '/operate/plans/default', 'operator'],
  ['rules', '/operate/rules', 'operator'],
  ['suspensions', '/operate/suspensions', 'operator'],
  ['all-usage', '/operate/usage', 'operator'],
  ['all-requests', '/operate/requests', 'operator'],
  ['latency', '/operate/latency', 'operator'],
  ['servers', '/operate/servers', 'operator'],
  ['model-names', '/operate/model-names', 'operator'],
  ['models', '/operate/models', 'operator'],
  ['pull', '/operate/models', 'operator'],
  ['gateway-down', '/home', 'member'],
  ['part-missing', '/keys', 'member'],
  ['form-refused', '/operate/rules', 'operator'],
  ['services', '/operate/services', 'operator'],
  ['notices', '/operate/notices', 'operator'],
  ['requests', '/requests', 'member'],
  ['reference', '/reference', 'member'],
  ['help', '/help/plans', 'member'],
  ['audit', '/operate/audit', 'operator'],
  ['settings', '/operate/settings', 'operator'],
];
const visits = { visitor: undefined, member: hanako.visitor, operator };
interface Shot {
  readonly width: number;
  readonly language: 'en' | 'ja';
  readonly scheme: 'light' | 'dark';
  readonly suffix: string;
  /** All of them if they are not named. */
  readonly pages?: readonly string[];
}
const documented: readonly Shot[] = [
  {
    width: 1440,
    language: 'en',
    scheme: 'light',
    suffix: '1440',
    pages: ['overview', 'all-requests', 'servers', 'settings'],
  },
  { width: 1440, language: 'ja', scheme: 'light', suffix: '1440-ja', pages: ['overview', 'all-requests'] },
];
const every: readonly Shot[] = ([1440, 390] as const).flatMap((width) =>
  (['en', 'ja'] as const).flatMap((language) =>
    (['light', 'dark'] as const).map((scheme) => ({
      width,
      language,
      scheme,
      suffix: `${width}-${language}-${scheme}`,
    })),
  ),
);
/** Pages of which the part that a screen shows is enough. */
const long: ReadonlySet<string> = new Set(['audit', 'all-usage', 'all-requests']);
const shots = elsewhere === undefined ? documented : every;
for (const shot of shots) {
  for (const [name, path, who] of pages) {
    if (only.length > 0 && !only.includes(name)) continue;
    if (shot.pages && !shot.pages.includes(name)) continue;
    const { language, suffix } = shot;
    if (looks.length > 0 && !looks.includes(suffix)) continue;
    const reader = await Reader.at(browser, gate.url, shot);
    const visitor = visits[who];
    if (visitor) await reader.signInAs(visitor);
    const shown = { is: false };
    const calls = name === 'overview' ? members.map(({ key }) => busy(key, shown)) : [];
    await reader.open(`/portal${path}`);
    await reader.page.locator('.mantine-Skeleton-root').first().waitFor({ state: 'detached' });
    await show(name, language, reader);
    // The picture in the documents has a line of speeds.
    await reader.page.waitForTimeout(name === 'overview' ? (elsewhere === undefined ? 20_000 : 3_000) : 400);
    await reader.page.screenshot({
      path: join(out, `${name}-${suffix}.png`),
      fullPage: !long.has(name),
    });
    await reader.close();
    shown.is = true;
    await Promise.all(calls);
  }
}
await browser.close();
await gate.stop();
await Promise.all([fake.close(), second.close()]);
process.stdout.write(`${applications.length} applications waited; the pictures are in ${out}\n`);

/** What a page shows when it is in use. */
async function show(name: string, language: 'en' | 'ja', reader: Reader): Promise<void> {
  if (name === 'plan') {
    await reader.press(language === 'ja' ? '確認' : 'Check');
    await reader.sees(language === 'ja' ? '許可されます' : 'Allowed');
  }
  const { page } = reader;
  if (name === 'pull') {
    fake.next(
      async (_, answer) => {
        answer.head(200, { 'Content-Type': 'application/x-ndjson' });
        await answer.chunk(
          '{"status":"pulling 3b1b2d5c","digest":"sha256:3b1b2d5c","total":3300000000,"completed":1400000000}\n',
        );
        await new Promise((resolve) => setTimeout(resolve, 6_000));
        await answer.chunk('{"status":"success"}\n');
        answer.end();
      },
      ({ url }) => url === '/api/pull',
    );
    await reader.fill(/^(?:Name|名前|モデル)/, 'gemma3:4b');
    await reader.press(language === 'ja' ? '取得' : 'Pull');
    await reader.sees(language === 'ja' ? 'ダウンロード中' : 'Downloading');
  }
  // The home page asks every few seconds.
  if (name === 'gateway-down') {
    await page.route('**/management/**', (route) => route.abort());
    await page.getByRole('alert').first().waitFor();
  }
  if (name === 'part-missing') {
    await page.route(/\/(?:management|assets)\//, (route) => route.abort());
    if (page.viewportSize()?.width === 390) await page.getByRole('banner').getByRole('button').first().click();
    await page
      .getByRole('navigation')
      .getByRole('link', { name: language === 'ja' ? 'APIリファレンス' : 'API reference' })
      .click();
    await page.getByRole('alert').first().waitFor();
  }
  if (name === 'form-refused') {
    await reader.press(language === 'ja' ? '新しいルール' : 'New rule');
    const form = page.getByRole('dialog');
    await form.getByRole('textbox').first().fill('busy-hour');
    await form.getByRole('button', { name: language === 'ja' ? '保存' : 'Save' }).click();
    await form.locator('[aria-invalid="true"]').waitFor();
  }
  if (name === 'playground') {
    await reader.fill(language === 'ja' ? 'メッセージ' : 'Message', 'なぜ空は青いのですか？');
    await reader.press(language === 'ja' ? '送信' : 'Send');
    await reader.sees(language === 'ja' ? /トークン\/秒/ : /tokens\/s/);
  }
}

/** Calls without a pause, until the screenshot is taken. */
async function busy(key: string, shown: { readonly is: boolean }): Promise<void> {
  while (!shown.is) {
    const body = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'なぜ空は青いのですか？' }] };
    await post(`${gate.url}/api/chat`, key, body)
      .then((response) => response.text())
      .catch(() => undefined);
  }
}
