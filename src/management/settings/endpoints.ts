// The rows about settings that can be changed at run time, and about taking changes back.
import { z } from 'zod';
import { liveGroups } from '../../settings/kinds.ts';
import { pageBefore } from '../http/cursor.ts';
import { type AnyCall, type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf, pageQuery } from '../http/fields.ts';
import { namesIn } from '../names.ts';
import { changeSettings, requireChange, requireGroup, undoSettings } from './change-settings.ts';
import {
  allSettingsSchema,
  settingChangeSchema,
  settingsChangeSchema,
  settingsSchema,
  trialResultSchema,
  trialSchema,
} from './schemas.ts';
import { showChange, showSettings } from './show-settings.ts';
import { tryOut } from './trials.ts';

const group = 'Settings';
const read = 'management:read';
const write = 'management:write';

const shown = (call: Pick<AnyCall, 'store' | 'params' | 'live' | 'settingTools'>) =>
  showSettings(call.store, call, requireGroup(call.params['group'] ?? ''));

/** What a change follows. */
const tag = ({ group: name, version }: z.output<typeof settingsSchema>) => [name, version];

export const settingEndpoints: readonly Endpoint[] = [
  endpoint('listSettings', 'get /settings', {
    summary: 'The settings that can be changed at run time, and which of them the file or the environment fixes',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: allSettingsSchema,
    run: async (call) => {
      const groups = [];
      for (const each of liveGroups) groups.push(await showSettings(call.store, call, each));
      return { groups };
    },
  }),
  endpoint('getSettings', 'get /settings/{group}', {
    summary: 'One group of them, with the ETag for a change',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: settingsSchema,
    tag,
    run: shown,
  }),
  endpoint('changeSettings', 'patch /settings/{group}', {
    summary: 'Change settings of a group, or give them their defaults again; every gateway follows within a second',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: settingsChangeSchema,
    answer: settingsSchema,
    before: async (call) => tag(await shown(call)),
    tag,
    run: async (call) => {
      await changeSettings(call.store, call, requireGroup(call.params['group'] ?? ''), call.body.values, call.author);
      return shown(call);
    },
  }),
  endpoint('trySettings', 'post /settings/{group}/trial', {
    summary: 'Send a test email, or ask the provider; with values, those are tried out and not stored',
    group,
    needs: write,
    fresh: 'always',
    pace: 'door',
    before: async (call) => tag(await shown(call)),
    atomic: false,
    body: trialSchema,
    answer: trialResultSchema,
    run: ({ store, params, body: { values = {}, to }, caller, language, ...context }) =>
      tryOut(store, context, requireGroup(params['group'] ?? ''), { values, to: to ?? caller.person?.email, language }),
  }),
  endpoint('listSettingChanges', 'get /setting-changes', {
    summary: 'What was changed of the settings and of registration, the newest first',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    query: z.strictObject(pageQuery),
    answer: pageOf(settingChangeSchema),
    run: async ({ store, query }) => {
      let names: Readonly<Record<string, string>> = {};
      return pageBefore(
        query,
        async (page) => {
          const found = await store.listSettingChanges(page);
          names = await namesIn(
            store,
            found.map(({ actor }) => actor),
          );
          return found;
        },
        (change) => showChange(change, names),
      );
    },
  }),
  endpoint('undoSettingChange', 'post /setting-changes/{id}/undo', {
    summary: 'Take a change of settings back, unless something of it was changed since',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    answer: settingChangeSchema,
    before: ({ store, params }) => requireChange(store, params['id'] ?? ''),
    run: async (call) => {
      const change = await undoSettings(call.store, call, call.params['id'] ?? '', call.author);
      return showChange(change, await namesIn(call.store, [change.actor]));
    },
  }),
];
