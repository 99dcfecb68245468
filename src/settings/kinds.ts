// The kinds of values that settings have, each with the sentence for a wrong one.
import { isIP } from 'node:net';
import { z } from 'zod';
import { AddressBlocks } from '../domain/address.ts';
import { fill, type ParametersOf, type Reason, say } from '../domain/sentences.ts';

/** The groups of settings that can be changed at run time; each is one form, and changed as a whole. */
export const liveGroups = ['general', 'appearance', 'access', 'limits', 'mail', 'provider'] as const;
export type LiveGroup = (typeof liveGroups)[number];

export interface Setting {
  /** Lower case in the file, upper case in the environment. */
  readonly name: string;
  readonly schema: z.ZodType;
  readonly fallback: unknown;
  readonly unit: string;
  readonly meaning: string;
  readonly secret?: boolean;
}

/** A setting that can also be changed while the gate runs, unless the file or the environment sets it. */
export interface LiveSetting extends Setting {
  readonly group: LiveGroup;
  /**
   * Settings that are set in one place or the other, all of them: otherwise a secret of the environment could be sent to an address
   * that was stored. If one of them changes, the secret among them has to be given again.
   */
  readonly bundle?: 'smtp' | 'oidc';
  /** What its text is, where a form needs to know. */
  readonly format?: 'color' | 'image';
}

type LiveTerms = Pick<LiveSetting, 'bundle' | 'format'>;

export const live = <S extends Setting>(group: LiveGroup, setting: S, terms: LiveTerms = {}): S & LiveSetting => ({
  ...setting,
  group,
  ...terms,
});

/** What a wrong value is told: a clause of domain/sentences, so that pages can say it in their language. */
export function must<R extends Reason>(reason: R, parameters: ParametersOf<R>) {
  const said = say(reason, parameters);
  return { message: fill(said), params: { said } };
}

export const seconds = z.coerce
  .number()
  .min(0)
  .max(30 * 86_400);
export const positiveSeconds = z.coerce
  .number()
  .min(0.001)
  .max(30 * 86_400);
export const bytes = z.coerce
  .number()
  .int()
  .min(1)
  .max(2 ** 40);
export const list = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((word) => word.trim())
          .filter((word) => word !== '')
      : value,
  z.array(z.string()),
);
const upstream = z
  .string()
  .refine(isUpstream, 'must be an http:// or https:// address without user, query or fragment');
export const upstreams = list.pipe(z.array(upstream).min(1));
export const noUpstreams = list.pipe(z.array(upstream));
export const origins = list.pipe(
  z.array(z.string().refine((origin) => origin === '*' || isOrigin(origin), must('setting_origin', {}))),
);
export const blocks = list.pipe(
  z.array(z.string().refine(isBlock, 'must be an address or a block such as 10.0.0.0/8')),
);
export const slotList = list.pipe(
  z.array(z.string().refine((text) => /^[^=]+=[1-9]\d{0,4}$/.test(text), must('setting_slots', {}))),
);
export const host = z
  .string()
  .refine((text) => isIP(text) !== 0 || /^[A-Za-z0-9.-]{1,253}$/.test(text), 'must be an address or a host name');

export const setting = <T extends z.ZodType>(
  name: string,
  schema: T,
  fallback: z.output<T>,
  unit: string,
  meaning: string,
  secret = false,
) => ({
  name,
  schema,
  fallback,
  unit,
  meaning,
  secret,
});

export function isUpstream(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash;
}

export function isOrigin(text: string): boolean {
  return URL.parse(text)?.origin === text || /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9.-]*$/i.test(text);
}

export const isOneLine = (text: string): boolean => !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text);

export function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

export function isBlock(text: string): boolean {
  try {
    new AddressBlocks([text]);
    return true;
  } catch {
    return false;
  }
}
