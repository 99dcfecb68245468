// The `sekisho` command with outputs that accept nothing, arguments with terminal control characters, and endless files.
import { expect, test } from 'vitest';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { commandFile, run, sekisho, temporaryDirectory } from '../gate.ts';

/** A data directory with a database in it, as a gate makes it. */
async function emptyStore(): Promise<string> {
  const dataDir = temporaryDirectory();
  await (await openSqlite(dataDir)).close();
  return dataDir;
}

const esc = '\u001b';

test('a secret that could not be printed is reported as lost, with the key to revoke', async () => {
  const dataDir = await emptyStore();
  const make = `${process.execPath} ${commandFile} key create --name x`;
  const full = await run('sh', ['-c', `${make} > /dev/full`], { DATA_DIR: dataDir });
  // The reader is gone before anything is written.
  const gone = await run('bash', ['-c', `{ sleep 0; ${make} --json; echo "code $?" >&2; } | true`], {
    DATA_DIR: dataDir,
  });
  const store = await openSqlite(dataDir);
  const [first, second] = await store.listKeys();
  await store.close();
  expect([full.code, full.err]).toEqual([1, expect.stringContaining(`revoke it (key revoke ${first?.id})`)]);
  expect(gone.err).toContain(`revoke it (key revoke ${second?.id})`);
  expect(gone.err).toContain('code 1');
});

test('user input and arguments are printed without terminal control characters', async () => {
  const dataDir = temporaryDirectory();
  const store = await openSqlite(dataDir);
  const [{ id } = { id: '' }] = await (async () => {
    await sekisho(['key', 'create', '--name', 'x'], { DATA_DIR: dataDir });
    return await store.listKeys();
  })();
  // As an older version accepted it.
  await store.signIn.db
    .updateTable('keys')
    .set({ name: `a\u202eb\u2066c\u009b31m${esc}[31m` })
    .execute();
  await store.close();
  for (const words of [
    ['key', 'list'],
    ['key', 'show', id, '--json'],
    ['key', 'show', `${esc}]0;title\u0007\u202e`],
  ]) {
    const { out, err } = await sekisho(words, { DATA_DIR: dataDir });
    expect(out + err).not.toMatch(new RegExp(`[${esc}\u0007\u009b\u202e\u2066]`));
    expect(out + err).not.toBe('');
  }
  const shown = await sekisho(['key', 'show', id, '--json'], { DATA_DIR: dataDir });
  expect((JSON.parse(shown.out) as { name: string }).name).toContain('\u202e');
  const long = await sekisho(['key', 'show', 'x'.repeat(100_000)], { DATA_DIR: dataDir });
  expect(long.err.length).toBeLessThan(2_000);
});

test('an endless file and a binary file are refused', async () => {
  const words = ['key', 'create', '--name', 'x', '--public-key', '/dev/zero'];
  const { code, err } = await sekisho(words, { DATA_DIR: await emptyStore() });
  expect([code, err]).toEqual([2, expect.stringContaining('too large')]);
});
