// Trying out the settings of mail and of the provider, as they are or as they would be: nothing is stored.
import { normalEmail } from '../../domain/application.ts';
import type { Language } from '../../domain/person.ts';
import type { LiveGroup } from '../../settings/kinds.ts';
import type { LiveValues } from '../../settings/live-table.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault } from '../fault.ts';
import { mailServerOf } from '../mail/mail-server.ts';
import { sendTestEmail } from '../mail/smtp.ts';
import { problemOf } from '../overview/connections.ts';
import { ProviderClient, ProviderFailed } from '../sign-in/provider.ts';
import { callbackAt } from '../sign-in/provider-routes.ts';
import { providersOf } from '../sign-in/providers.ts';
import { type AskedValues, draftSettings } from './change-settings.ts';
import type { SettingContext } from './setting-tools.ts';

export interface Trial {
  readonly values: AskedValues;
  readonly to: string | undefined;
  readonly language: Language;
}

export interface TrialResult {
  readonly works: boolean;
  readonly step: 'mail' | 'discovery' | 'client';
  readonly to: string | null;
  readonly problem: string | null;
}

/** @throws Fault where the group has nothing to try out. */
export async function tryOut(
  store: Store,
  context: SettingContext,
  group: LiveGroup,
  trial: Trial,
): Promise<TrialResult> {
  if (group !== 'mail' && group !== 'provider') throw new Fault('setting_untestable', {}, 'not_found');
  const inForce =
    Object.keys(trial.values).length === 0
      ? context.live.now
      : (await draftSettings(store, context, group, trial.values)).inForce;
  return group === 'mail' ? tryMail(inForce, trial) : tryProvider(inForce, context);
}

async function tryMail(values: LiveValues, { to: asked, language }: Trial): Promise<TrialResult> {
  if (values.smtpUrl === '') throw new Fault('setting_test_nothing', {}, 'conflict');
  const to = asked === undefined ? undefined : normalEmail(asked);
  if (to === undefined) throw new Fault('email_shape', {});
  try {
    await sendTestEmail(mailServerOf(values), to, language);
    return { works: true, step: 'mail', to, problem: null };
  } catch (error) {
    return { works: false, step: 'mail', to, problem: problemOf(error) };
  }
}

async function tryProvider(values: LiveValues, { settingTools: { signInAt } }: SettingContext): Promise<TrialResult> {
  const [provider] = providersOf(values);
  if (!provider) throw new Fault('setting_test_nothing', {}, 'conflict');
  const client = new ProviderClient(provider, callbackAt(signInAt, provider));
  const reached = { step: 'discovery' as 'discovery' | 'client' };
  try {
    await client.tryOut(() => {
      reached.step = 'client';
    });
    return { works: true, step: 'client', to: null, problem: null };
  } catch (error) {
    const cause = error instanceof ProviderFailed ? error.cause : error;
    return { works: false, step: reached.step, to: null, problem: problemOf(cause) };
  }
}
