// Places that are taken for a while, such as the emails that a mailbox may get in an hour. Each is a row that one statement takes, so
// that several gateways never take more together.
import type { WallMs } from '../../domain/time.ts';
import type { PlaceStore } from '../ports/places.ts';
import type { Connection } from './connection.ts';

export function placeQueries({ db }: Connection): PlaceStore {
  const takenOf = async (places: string, at: WallMs): Promise<ReadonlySet<string>> => {
    const rows = await db
      .selectFrom('used_once')
      .select('id')
      .where('id', '>=', `${places} `)
      .where('id', '<', `${places}!`)
      .where('expires_at', '>', at)
      .execute();
    return new Set(rows.map(({ id }) => id));
  };
  return {
    takePlace: async (places, most, at, until) => {
      for (;;) {
        const taken = await takenOf(places, at);
        const id = Array.from({ length: most }, (_, n) => `${places} ${n}`).find((place) => !taken.has(place));
        if (id === undefined) return false;
        const made = await db
          .insertInto('used_once')
          .values({ id, expires_at: until })
          .onConflict((conflict) =>
            conflict.column('id').doUpdateSet({ expires_at: until }).where('used_once.expires_at', '<=', at),
          )
          .returning('id')
          .executeTakeFirst();
        if (made) return true;
      }
    },
    countPlaces: async (places, at) => (await takenOf(places, at)).size,
  };
}
