// What the use cases of settings work with, besides the store.
import type { LiveSettings } from '../../settings/live.ts';

export interface SettingTools {
  /** File with the keys that encrypt stored secrets (server_secret_key); empty: none can be stored. */
  readonly keyFile: string;
  /** Where sign-in stands, as browsers reach it. */
  readonly signInAt: string;
}

/** `live` says what is fixed, and what holds without what is stored. */
export interface SettingContext {
  readonly live: LiveSettings;
  readonly settingTools: SettingTools;
}
