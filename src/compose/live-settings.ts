// Keeps the settings that can be changed at run time as the store has them, from before anything reads them.
import { openValues } from '../management/settings/values.ts';
import type { Log } from '../observe/log.ts';
import type { Config } from '../settings/config.ts';
import type { Storage } from './storage.ts';

/** Reads them now and whenever the store has changed. Rejects if they cannot be read now. */
export async function followSettings(
  { live, serverSecretKey }: Config,
  { store, changes }: Pick<Storage, 'store' | 'changes'>,
  { logger }: Log,
): Promise<void> {
  let reported = '';
  let hasBegun = false;
  await changes.subscribe({
    what: 'the settings could not be read; they stay as they are',
    run: async () => {
      const { values, unusable } = openValues(await store.listSettings(), serverSecretKey);
      const said = JSON.stringify([...unusable]);
      if (said !== reported)
        for (const [setting, reason] of unusable)
          logger.error({ setting, reason }, 'a stored setting cannot be used; its default is in force');
      reported = said;
      if (live.set(live.with(values)) && hasBegun) logger.info('the settings have changed');
      hasBegun = true;
    },
  });
}
