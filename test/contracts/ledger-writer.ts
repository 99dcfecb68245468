// What everything that writes the ledger promises (`LedgerWriter`), wherever it does so.
import { expect, test } from 'vitest';
import { auditEvent } from '../../src/domain/audit.ts';
import type { KeyId } from '../../src/domain/id.ts';
import type { Soon } from '../../src/domain/soon.ts';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { endOf } from '../../src/store/ledger/journal-lines.ts';
import type { LedgerWriter } from '../../src/store/ports/ledger-writer.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { StoreBusy } from '../../src/store/unusable.ts';
import { author } from '../gate.ts';
import { newKey, row } from './store.ts';

export interface OpenWriter {
  readonly writer: LedgerWriter;
  /** The store of the same process. It waits for no other program. */
  readonly store: Store;
  /** Keeps others from writing, as another program does; returns what ends that. */
  readonly hold: () => Soon<() => Soon<void>>;
  readonly close: () => Promise<void>;
}

const from = 1_700_000_000_000;
const rows = (count: number, extra: Partial<UsageRecord> = {}): UsageRecord[] =>
  Array.from({ length: count }, (_, index) => row(from + index, { repeats: 1, completionTokens: 2, ...extra }));
const lines = (records: readonly UsageRecord[]): string[] => records.map(endOf);

export function ledgerWriterContract(name: string, open: () => Promise<OpenWriter>): void {
  const withWriter = (use: (opened: OpenWriter) => Promise<void>) => async () => {
    const opened = await open();
    try {
      await use(opened);
    } finally {
      await opened.close();
    }
  };
  const requests = async (store: Store): Promise<number> =>
    (await store.reportUsage('account', 0, from + 1e9)).reduce((sum, each) => sum + each.requests, 0);

  test(
    `${name}: records are seen as soon as they are written, and count once however often and beside whatever they come`,
    withWriter(async ({ writer, store }) => {
      const records = rows(30);
      await writer.appendLines(lines(records));
      expect((await store.listUsage(100)).toSorted((a, b) => a.at - b.at)).toMatchObject(records);
      await Promise.all([
        writer.appendLines(lines(records)),
        writer.appendLines(lines(rows(20))),
        writer.appendLines(lines([...records.slice(20), ...records.slice(0, 5)])),
        writer.appendLines([]),
      ]);
      expect([(await store.listUsage(100)).length, await requests(store)]).toEqual([50, 50]);
    }),
  );

  test(
    `${name}: each figure of a record is kept, whichever the other records of its batch lack`,
    withWriter(async ({ writer, store }) => {
      const figures: Partial<UsageRecord>[] = [
        {},
        { code: 'rate_limited' },
        { queuedMs: 5 },
        { cacheReadTokens: 6 },
        { cacheWriteTokens: 7 },
        { reasoningTokens: 8 },
        { askedModel: 'alias' },
        { fallbackFor: 'first' },
        { cost: { unit: 'page', units: 3 } },
        { loadMs: 9 },
        { refusedBy: 'sus_1' },
        { detail: 'A sentence.' },
        { changes: 'num_ctx=4096', firstTokenMs: 4 },
      ];
      const cached = { cacheReadTokens: 0, cacheWriteTokens: 0 };
      const lacking = { code: null, queuedMs: 0, ...cached, reasoningTokens: 0, askedModel: null, fallbackFor: null };
      const records = figures.map((own, index) => row(from + index, { ...lacking, ...own }));
      await writer.appendLines(lines(records));
      const found = (await store.listUsage(100)).toSorted((a, b) => a.at - b.at);
      // JSON leaves out what is undefined, as the journal does.
      expect(JSON.parse(JSON.stringify(found))).toEqual(JSON.parse(JSON.stringify(records)));
    }),
  );

  test(
    `${name}: of a batch with a record that the store does not take, nothing is written, and the next one is`,
    withWriter(async ({ writer, store }) => {
      const wrong = { ...row(from), outcome: null as unknown as UsageRecord['outcome'] };
      await expect(writer.appendLines(lines([...rows(3), wrong]))).rejects.toThrow(/not.null/i);
      await expect(writer.appendLines(['E{"id":'])).rejects.toThrow(/JSON/);
      expect([(await store.listUsage(100)).length, await requests(store)]).toEqual([0, 0]);
      await writer.appendLines(lines(rows(3)));
      expect(await requests(store)).toBe(3);
    }),
  );

  test(
    `${name}: while another program holds the database it says so, and goes on as soon as that is over`,
    withWriter(async ({ writer, store, hold }) => {
      await writer.appendLines(lines(rows(1)));
      const release = await hold();
      await expect(writer.appendLines(lines(rows(3)))).rejects.toThrow(StoreBusy);
      await expect(writer.touchKeys(new Map([['key_x' as KeyId, 1]]))).rejects.toThrow(StoreBusy);
      await release();
      await writer.appendLines(lines(rows(3)));
      expect(await requests(store)).toBe(4);
    }),
  );

  test(
    `${name}: decisions of the same process and batches take turns, and none is refused because of another`,
    withWriter(async ({ writer, store }) => {
      const event = () => auditEvent(author(), 'test', 'x', null, null);
      const { maxPending: before } = await store.readRegistration();
      const added = Array.from({ length: 20 }, () => rows(20));
      await Promise.all(
        added.flatMap((batch, index) => [
          writer.appendLines(lines(batch)),
          store.atomically(async (inside) => {
            const { maxPending, ...rest } = await inside.readRegistration();
            await inside.writeRegistration({ ...rest, maxPending: maxPending + 1 }, event());
          }),
          // A statement without a transaction, as the sign-in library makes them.
          store.signIn.db.updateTable('registration').set({ id: 1 }).execute(),
          writer.touchKeys(new Map([['key_x' as KeyId, index]])),
        ]),
      );
      expect(await requests(store)).toBe(400);
      expect((await store.readRegistration()).maxPending).toBe(before + 20);
    }),
  );

  test(
    `${name}: a key keeps the latest time of its use, and neither that nor a record makes others read again`,
    withWriter(async ({ writer, store }) => {
      const key = await newKey(store);
      await store.insertKey(key, auditEvent(author(), 'test', 'x', null, null));
      let runs = 0;
      const feed = store.changeFeed({ onFailure: () => undefined, onRecovery: () => undefined });
      await feed.subscribe({ what: 'count', run: () => Promise.resolve(void runs++) });
      for (const at of [30, 20]) {
        await writer.touchKeys(
          new Map([
            [key.id, at],
            ['key_static_x' as KeyId, 40],
          ]),
        );
        await writer.appendLines(lines(rows(2)));
        await feed.look();
      }
      expect([(await store.findKey(key.id))?.lastUsedAt, runs]).toEqual([30, 1]);
    }),
  );
}
