// How soon each page is usable in a browser that has nothing of it yet:
//
//   node bench/first-visits.ts
//
// Each visit has a browser profile of its own, with the session of a member or of an operator. The time is from the navigation until the
// page has its title and all that it loads first, has drawn it, and answers a key; the median and the slowest of three visits are printed.
import process from 'node:process';
import { createAccount } from '../src/management/accounts/accounts.ts';
import { createKey } from '../src/management/keys/keys.ts';
import { openBrowser, Reader } from '../test/browser.ts';
import { startFakeOllama } from '../test/fake-ollama/fake-ollama.ts';
import { openGate } from '../test/gate.ts';
import { memberOf, operatorOf, type Visitor } from '../test/visitor.ts';
import { appendInvented, type Owner } from './invented-records.ts';

const [accounts, rows, visits] = [1_000, 50_000, 3];
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const fake = await startFakeOllama();
const gate = await openGate(fake.url);
const operator = await operatorOf(gate);
await operator.patch('/registration', { mode: 'open', plan: 'default' });
const member = await memberOf(gate, 'member@example.org');
const own = (await member.post('/me/keys', { name: 'laptop' })).body;
const made: Owner[] = [{ id: own.id, account: own.account }];
await gate.manage(async (store, author) => {
  for (let i = 0; i < accounts; i++) {
    await createAccount(store, `person-${i}@example.org`, 'trusted', author);
    const { key } = await createKey(store, { name: `key ${i}`, account: `person-${i}@example.org` }, author);
    made.push({ id: key.id, account: key.accountId });
  }
  const ownerOf = (from: number, n: number): Owner => made[n % 10 === 0 ? 0 : (from + n * 7) % made.length] as Owner;
  await appendInvented(store, { rows, days: 30, upstream: fake.url, ownerOf });
});

const request = (await operator.get('/requests?limit=1')).body.items[0].id as string;
const ownRequest = (await member.get('/me/requests?limit=1')).body.items[0].id as string;
const event = (await operator.get('/audit?limit=1')).body.items[0].id as string;
const pages: readonly [who: 'visitor' | 'member' | 'operator', paths: readonly string[]][] = [
  ['visitor', ['/', '/apply', '/sign-in', '/trust', '/status', '/help/portal']],
  ['member', ['/home', '/keys', '/usage', '/requests', `/requests/${ownRequest}`, '/playground', '/reference', '/me']],
  [
    'operator',
    [
      '/operate',
      '/operate/applications',
      '/operate/accounts',
      `/operate/accounts/${made[1]?.account ?? ''}`,
      '/operate/keys',
      '/operate/plans',
      '/operate/plans/default',
      '/operate/rules',
      '/operate/suspensions',
      '/operate/usage',
      '/operate/requests',
      `/operate/requests/${request}`,
      '/operate/latency',
      '/operate/servers',
      '/operate/model-names',
      '/operate/models',
      '/operate/services',
      '/operate/notices',
      '/operate/audit',
      `/operate/audit/${event}`,
      '/operate/settings',
    ],
  ],
];
const whose: Readonly<Record<'visitor' | 'member' | 'operator', Visitor | undefined>> = {
  visitor: undefined,
  member,
  operator,
};

const browser = await openBrowser();
say(`| page | median | slowest | kB |`);
for (const [who, paths] of pages)
  for (const path of paths) {
    const taken: { ms: number; bytes: number }[] = [];
    for (let i = 0; i < visits; i++) taken.push(await visit(path, whose[who]));
    const times = taken.map(({ ms }) => ms).toSorted((a, b) => a - b);
    const shown = path.replace(/(?:req|acc|aud)_\w+|\/audit\/\w+$/, (id) =>
      id.startsWith('/') ? '/audit/<id>' : '<id>',
    );
    say(
      `| ${who}: ${shown} | ${times[1]?.toFixed(0)} ms | ${times.at(-1)?.toFixed(0)} ms | ${((taken[0]?.bytes ?? 0) / 1024).toFixed(0)} |`,
    );
  }
await browser.close();
await gate.stop();
await fake.close();

async function visit(path: string, visitor: Visitor | undefined): Promise<{ ms: number; bytes: number }> {
  const reader = await Reader.at(browser, gate.url);
  if (visitor) await reader.signInAs(visitor);
  const { page } = reader;
  let bytes = 0;
  const devtools = await reader.context.newCDPSession(page);
  await devtools.send('Network.enable');
  devtools.on('Network.loadingFinished', ({ encodedDataLength }: { encodedDataLength: number }) => {
    bytes += encodedDataLength;
  });
  await page.goto(`${gate.url}/portal${path}`, { waitUntil: 'commit' });
  // The page's own clock starts with the navigation. Something that still loads shows a placeholder.
  await page.locator('main h1').waitFor();
  await page.locator('.mantine-Skeleton-root, main .mantine-Loader-root').first().waitFor({ state: 'detached' });
  await page.keyboard.press('Tab');
  const ms = await page.evaluate<number>(
    'new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))',
  );
  await reader.close();
  return { ms, bytes };
}
