// The settings that can also be changed while the gate runs. The API, the form of the portal, the audit log and the command are made
// from this table; the values in force are read through live.ts alone.
import type { z } from 'zod';
import { appearanceSettings } from './appearance.ts';
import { generalSettings } from './general.ts';
import type { LiveSetting } from './kinds.ts';
import { accessSettings, limitSettings } from './limits.ts';
import { mailSettings } from './mail.ts';
import { providerSettings } from './provider.ts';

export const liveSettings = {
  ...generalSettings,
  ...appearanceSettings,
  ...mailSettings,
  ...providerSettings,
  ...accessSettings,
  ...limitSettings,
} as const satisfies Record<string, LiveSetting>;

export type LiveKey = keyof typeof liveSettings;

/** The values in force. */
export type LiveValues = { readonly [Key in LiveKey]: z.output<(typeof liveSettings)[Key]['schema']> };

export const liveKeys = Object.keys(liveSettings) as LiveKey[];

const byName = new Map<string, LiveKey>(liveKeys.map((key) => [liveSettings[key].name, key]));

/** By the name under which it stands in the file. */
export const liveKeyOf = (name: string): LiveKey | undefined => byName.get(name);

/** All that are set in one place with it, itself included. */
export const bundleOf = (key: LiveKey): readonly LiveKey[] => {
  const { bundle }: LiveSetting = liveSettings[key];
  return bundle === undefined
    ? [key]
    : liveKeys.filter((other) => (liveSettings[other] as LiveSetting).bundle === bundle);
};
