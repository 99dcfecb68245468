// Settings and their changes as people and programs read them: a secret is set or not, and a picture is a kind and a size.
import { z } from 'zod';
import { logoOf } from '../../domain/logo.ts';
import { isSealed, type SettingChange, type StoredSettings, type StoredValue } from '../../domain/setting-change.ts';
import { iso } from '../../domain/time.ts';
import type { LiveGroup } from '../../settings/kinds.ts';
import { type LiveKey, liveKeys } from '../../settings/live-table.ts';
import { withoutPassword } from '../../settings/smtp.ts';
import type { Store } from '../../store/ports/store.ts';
import { sealingKeysFrom } from '../servers/sealing.ts';
import type { settingChangeSchema, settingKinds, settingSchema, settingsSchema } from './schemas.ts';
import type { SettingContext } from './setting-tools.ts';
import { openValues, settingOf } from './values.ts';

type Shown = z.output<typeof settingSchema>;
type Kind = (typeof settingKinds)[number];

/** A group with what is in force of it. */
export async function showSettings(
  store: Pick<Store, 'findSettings'>,
  context: SettingContext,
  group: LiveGroup,
): Promise<z.output<typeof settingsSchema>> {
  const row = await store.findSettings(group);
  return {
    group,
    version: row?.version ?? 0,
    changedAt: row ? iso(row.changedAt) : null,
    canSeal: canSeal(context),
    settings: shownSettings(row, context, group),
  };
}

export function shownSettings(row: StoredSettings | undefined, context: SettingContext, group: LiveGroup): Shown[] {
  const { live, settingTools } = context;
  const opened = openValues(row ? [row] : [], settingTools.keyFile);
  const inForce = live.with(opened.values);
  return liveKeys
    .filter((key) => settingOf(key).group === group)
    .map((key) => {
      const { name, unit, secret, fallback } = settingOf(key);
      const fixedBy = live.fixedBy(key) ?? null;
      const isStored = row?.values[name] !== undefined;
      return {
        name,
        kind: kindOf(key),
        unit,
        value: shownValue(key, inForce[key]),
        isSet: secret === true ? inForce[key] !== '' : null,
        default: secret === true ? null : shownValue(key, fallback),
        source: fixedBy !== null ? 'fixed' : isStored ? 'stored' : 'default',
        fixedBy,
        choices: choicesOf(key),
        problem: (fixedBy === null ? opened.unusable.get(name) : undefined) ?? null,
      };
    });
}

/** Can a secret be stored? */
function canSeal({ settingTools: { keyFile } }: SettingContext): boolean {
  try {
    sealingKeysFrom(keyFile);
    return true;
  } catch {
    return false;
  }
}

function kindOf(key: LiveKey): Kind {
  const { secret, format, fallback } = settingOf(key);
  if (secret === true) return 'secret';
  if (format !== undefined) return format;
  if (choicesOf(key) !== null) return 'choice';
  if (Array.isArray(fallback)) return 'list';
  return typeof fallback === 'number' ? 'number' : 'text';
}

function choicesOf(key: LiveKey): string[] | null {
  const { schema } = settingOf(key);
  return schema instanceof z.ZodEnum ? schema.options.map(String) : null;
}

function shownValue(key: LiveKey, value: unknown): Shown['value'] {
  const { secret, format } = settingOf(key);
  if (secret === true) return null;
  if (key === 'smtpUrl') return withoutPassword(String(value));
  return format === 'image' ? shownPicture(String(value)) : (value as Shown['value']);
}

function shownPicture(text: string): string {
  const logo = logoOf(text);
  return logo ? `${logo.type}, ${logo.bytes.length} B` : '';
}

/** `names`: of the people and keys that the changes mention by id. */
export const showChange = (
  change: SettingChange,
  names: Readonly<Record<string, string>>,
): z.output<typeof settingChangeSchema> => {
  const { at, from, to, ...rest } = change;
  return { ...rest, at: iso(at), from: shownSide(from), to: shownSide(to), actorName: nameIn(change.actor, names) };
};

const nameIn = (actor: string, names: Readonly<Record<string, string>>): string | null =>
  names[actor.slice(actor.indexOf(':') + 1)] ?? null;

const shownSide = (side: SettingChange['from']) =>
  Object.fromEntries(Object.entries(side).map(([name, value]) => [name, shownPart(value)]));

function shownPart(value: StoredValue | null): string | number | boolean | string[] | null {
  if (value === null) return null;
  if (isSealed(value)) return '[secret]';
  if (typeof value === 'string') return value.startsWith('data:') ? shownPicture(value) : value;
  return typeof value === 'object' ? [...value] : value;
}
