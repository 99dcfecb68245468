// An operator's announcement to the people of this gate: plain text in one language or both, for a time. Pure.
import type { AnnouncementId } from './id.ts';
import { type Language, languages } from './person.ts';

export interface Announcement {
  readonly id: AnnouncementId;
  /** One line each; at least one of them is not null. */
  readonly texts: Readonly<Record<Language, string | null>>;
  /** Unix milliseconds. */
  readonly from: number;
  /** Null: until it is changed or deleted. */
  readonly until: number | null;
  /** Whether answers to calls carry it in a header. */
  readonly header: boolean;
  readonly createdAt: number;
  readonly changedAt: number;
  readonly version: number;
}

export const announcementBounds = { characters: 500, headerBytes: 2_000, count: 100 } as const;

export const isInForce = ({ from, until }: Announcement, now: number): boolean =>
  from <= now && (until === null || now < until);

/**
 * The texts as values of RFC 8187 §3.2 with their language, separated by commas. Everything that is not an attr-char is
 * percent-encoded, so that a text can neither end the header nor look like two values.
 */
export const headerOf = ({ texts }: Pick<Announcement, 'texts'>): string =>
  languages
    .flatMap((language) => {
      const text = texts[language];
      return text === null ? [] : [`UTF-8'${language}'${encoded(text)}`];
    })
    .join(', ');

const encoded = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[*'()]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
