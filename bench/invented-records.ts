// Records of calls that nobody made, for benches of the pages: spread evenly over the days before now.
import { newRequestId } from '../src/domain/id.ts';
import type { UsageRecord } from '../src/domain/usage.ts';
import type { Store } from '../src/store/ports/store.ts';

/** A key and its account, by id. */
export interface Owner {
  readonly id: string;
  readonly account: string;
}

export interface Invented {
  readonly rows: number;
  readonly days: number;
  readonly upstream: string;
  /** Whose record it is: the place of its batch, and its own in the batch. */
  readonly ownerOf: (from: number, n: number) => Owner;
}

const batch = 2_000;

/** Appends `rows` records, a multiple of 2,000. */
export async function appendInvented(
  store: Pick<Store, 'appendUsage'>,
  { rows, days, upstream, ownerOf }: Invented,
): Promise<void> {
  const spanMs = days * 86_400_000;
  for (let from = 0; from < rows; from += batch) {
    const part = Array.from({ length: batch }, (_, n): UsageRecord => {
      const at = Math.floor(Date.now() - spanMs + (from + n) * (spanMs / rows));
      const owner = ownerOf(from, n);
      return {
        id: newRequestId(at),
        at,
        keyId: owner.id as UsageRecord['keyId'],
        accountId: owner.account as UsageRecord['accountId'],
        operation: 'chat',
        model: `model-${n % 20}`,
        upstream,
        outcome: 'completed',
        status: 200,
        code: null,
        streamed: true,
        promptTokens: 300,
        completionTokens: 500,
        source: 'exact',
        bytesIn: 900,
        bytesOut: 4000,
        firstByteMs: 90,
        durationMs: 3000,
        queuedMs: 0,
        address: '192.0.2.1',
        repeats: 1,
        cacheReadTokens: 0,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
        askedModel: null,
        fallbackFor: null,
      };
    });
    await store.appendUsage(part);
  }
}
