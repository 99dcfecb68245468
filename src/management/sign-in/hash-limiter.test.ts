import { expect, test } from 'vitest';
import { HashLimiter, type HashPlace } from './hash-limiter.ts';

const network = '192.0.2.1';

test('attempts on which the throttle has yet to decide make nobody busy, those that are being checked do', async () => {
  const limiter = new HashLimiter();
  const first = await Promise.all(Array.from({ length: 8 }, () => limiter.enter(network)));
  const said: string[] = [];
  const later = Array.from({ length: 33 }, async (_, at): Promise<HashPlace | undefined> => {
    const place = await limiter
      .enter(network)
      .catch((error: unknown) => void said.push(`${at} ${(error as { code: string }).code}`));
    if (place) said.push(`${at} asks`);
    return place ?? undefined;
  });
  await new Promise(setImmediate);
  expect(said).toEqual([]);
  // Five may be checked; the others have to wait, so each makes room for one that is behind.
  for (const place of first.slice(0, 5)) place.begin();
  for (const place of first.slice(5)) place.leave();
  for (let decided = 0; decided < later.length; decided += 3) {
    await new Promise(setImmediate);
    expect(said.length).toBe(decided + 3);
    for (const place of later.slice(decided, decided + 3)) (await place)?.leave();
  }
  expect(said).toEqual(later.map((_, at) => `${at} asks`));
  const more = await Promise.all([0, 1, 2].map(() => limiter.enter(network)));
  for (const place of more) place.begin();
  await expect(limiter.enter(network)).rejects.toMatchObject({ code: 'busy' });
  const elsewhere = await limiter.enter('192.0.2.2');
  for (const place of [...first.slice(0, 5), ...more, elsewhere]) place.leave();
  (await limiter.enter(network)).leave();
});

test('attempts that wait are told when there is no room', async () => {
  const limiter = new HashLimiter();
  const first = await Promise.all(Array.from({ length: 8 }, () => limiter.enter(network)));
  const late = limiter.enter(network);
  for (const place of first) place.begin();
  await expect(late).rejects.toMatchObject({ code: 'busy' });
});
