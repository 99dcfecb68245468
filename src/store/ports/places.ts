// Places that are taken for a while. Several gateways take from the same ones.
import type { WallMs } from '../../domain/time.ts';

export interface PlaceStore {
  /** Takes one of this many places, until a time; false if all are taken. Concurrent callers never take more together. */
  takePlace(places: string, most: number, at: WallMs, until: WallMs): Promise<boolean>;
  /** How many of them are taken. */
  countPlaces(places: string, at: WallMs): Promise<number>;
}
