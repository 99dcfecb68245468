// How many emails a mailbox gets in an hour, from all gateways together, because anyone can make them send email to any address by
// applying with it. The places are rows of the store, and a row can be taken once.
import { digestOf } from '../../domain/api-key.ts';
import { mailboxOf } from '../../domain/mailbox.ts';
import type { WallMs } from '../../domain/time.ts';
import type { PlaceStore } from '../../store/ports/places.ts';
import type { EmailContent } from './mailer.ts';

const hourMs = 3_600_000;

/**
 * Emails per mailbox and hour, by kind. Strangers can cause confirmations, which do not use up the limit of other kinds.
 */
const maxAnHour = { confirm: 10, reset: 10, own: 30 } as const;

type Kind = EmailContent['kind'];

const nameOf = (kind: Kind): keyof typeof maxAnHour =>
  kind === 'confirm' || kind === 'known' ? 'confirm' : kind === 'reset' ? 'reset' : 'own';

const placesOf = (kind: Kind, to: string): string => `email ${nameOf(kind)} ${digestOf(mailboxOf(to))}`;

/** Whether another email of that kind may be sent to that mailbox now. */
export const hasRoom = async (store: PlaceStore, kind: Kind, to: string, at: WallMs): Promise<boolean> =>
  (await store.countPlaces(placesOf(kind, to), at)) < maxAnHour[nameOf(kind)];

/** The same, and counts it. */
export const takeRoom = (store: PlaceStore, kind: Kind, to: string, at: WallMs): Promise<boolean> =>
  store.takePlace(placesOf(kind, to), maxAnHour[nameOf(kind)], at, at + hourMs);
