// Changing settings at run time: reads and checks them together with those that stay, stores them with the change that can be taken
// back, and takes a change back. Every gate on the store follows within a second.
import { type Author, auditEvent } from '../../domain/audit.ts';
import { newSettingChangeId, type SettingChangeId } from '../../domain/id.ts';
import { Refusal } from '../../domain/refusal.ts';
import { isSealed, type SettingChange, type StoredSettings, type StoredValue } from '../../domain/setting-change.ts';
import { type LiveGroup, liveGroups } from '../../settings/kinds.ts';
import { bundleOf, type LiveKey, type LiveValues, liveKeys, liveSettings } from '../../settings/live-table.ts';
import { faultsTogether } from '../../settings/together.ts';
import type { Store } from '../../store/ports/store.ts';
import { setRegistration } from '../applications/applications.ts';
import { Fault } from '../fault.ts';
import type { SettingContext } from './setting-tools.ts';
import { isSame, openValues, readValue, requireKey, settingOf, type Values } from './values.ts';

/** @throws Fault. */
export function requireGroup(name: string): LiveGroup {
  const found = liveGroups.find((group) => group === name);
  if (found === undefined) throw new Fault('setting_group_missing', { name }, 'not_found');
  return found;
}

/** Values by the names of settings; null: the default again. */
export type AskedValues = Readonly<Record<string, unknown>>;

/** What would be stored, and what would be in force with it. */
export interface Draft {
  readonly before: StoredSettings | undefined;
  readonly next: Values;
  readonly inForce: LiveValues;
}

/** Reads a change of one group without storing it. @throws Fault, Refusal, Problem. */
export async function draftSettings(
  store: Store,
  context: SettingContext,
  group: LiveGroup,
  asked: AskedValues,
): Promise<Draft> {
  const { live, settingTools } = context;
  const changed = new Map<string, StoredValue | null>();
  for (const [name, value] of Object.entries(asked)) {
    const key = requireKey(group, name);
    const by = live.fixedBy(key);
    if (by !== undefined) throw new Fault('setting_fixed', { name, by }, 'conflict');
    changed.set(name, value === null ? null : (readValue(key, value, settingTools.keyFile) ?? null));
  }
  return draftOf(store, context, group, changed);
}

async function draftOf(
  store: Store,
  { live, settingTools: { keyFile } }: SettingContext,
  group: LiveGroup,
  changed: ReadonlyMap<string, StoredValue | null>,
): Promise<Draft> {
  const rows = await store.listSettings();
  const before = rows.find((row) => row.group === group);
  const others = rows.filter((row) => row.group !== group);
  const next: Record<string, StoredValue> = { ...before?.values };
  for (const [name, value] of changed) {
    if (value === null) delete next[name];
    else next[name] = value;
  }
  const held = live.with(openValues(rows, keyFile).values);
  keepSecretsApart(held, live.with(openValues([...others, { values: next }], keyFile).values), next, changed);
  const inForce = live.with(openValues([...others, { values: next }], keyFile).values);
  // What was wrong before, such as a stored secret that does not open any more, keeps nobody from changing something else.
  const known = new Set(faultsTogether(held).map((said) => said.reason));
  const fault = faultsTogether(inForce).find(({ reason }) => !known.has(reason));
  if (fault) throw new Refusal(fault, 'conflict');
  await refuseLockOut(store, held, inForce);
  return { before, next, inForce };
}

/**
 * A secret was meant for the address that it stands beside. If that changes it has to be given again, and where there is no
 * address any more it is dropped. @throws Fault.
 */
function keepSecretsApart(
  held: LiveValues,
  inForce: LiveValues,
  next: Record<string, StoredValue>,
  changed: ReadonlyMap<string, StoredValue | null>,
): void {
  for (const key of liveKeys) {
    const { name, secret } = settingOf(key);
    if (secret !== true || next[name] === undefined || changed.has(name)) continue;
    const beside = bundleOf(key).filter((other) => other !== key);
    const moved = beside.find((other) => inForce[other] !== held[other]);
    if (moved === undefined) continue;
    if (beside.every((other) => inForce[other] === '')) delete next[name];
    else throw new Fault('setting_secret_again', { name, of: settingOf(moved).name });
  }
}

const signingIn = ['oidcIssuer', 'oidcClientId', 'oidcClientSecret'] as const satisfies readonly LiveKey[];

/** Operators who only sign in through the provider could not sign in again to correct a mistake. @throws Fault. */
async function refuseLockOut(store: Store, held: LiveValues, inForce: LiveValues): Promise<void> {
  if (signingIn.every((key) => held[key] === inForce[key])) return;
  const { own, byIssuer } = await store.countOperatorSignIns(held.oidcIssuer);
  if (own === 0 && byIssuer > 0) throw new Fault('setting_locks_out', {}, 'conflict');
}

/** True: something is different now. @throws Fault, Refusal, Problem. */
export function changeSettings(
  store: Store,
  context: SettingContext,
  group: LiveGroup,
  asked: AskedValues,
  author: Author,
): Promise<boolean> {
  return store.atomically(async (within) => {
    const draft = await draftSettings(within, context, group, asked);
    return (await put(within, group, draft, null, author)) !== undefined;
  });
}

/** @throws Fault. */
export async function requireChange(store: Store, id: string): Promise<SettingChange> {
  const change = await store.findSettingChange(id as SettingChangeId);
  if (!change) throw new Fault('setting_change_missing', { id }, 'not_found');
  return change;
}

/** Takes back what one change has made. @throws Fault, Refusal, Problem. */
export function undoSettings(
  store: Store,
  context: SettingContext,
  id: string,
  author: Author,
): Promise<SettingChange> {
  return store.atomically(async (within) => {
    const change = await requireChange(within, id);
    if (change.undoneBy !== null) throw new Fault('setting_change_undone', {}, 'conflict');
    if (change.group === 'registration') await undoRegistration(within, change, author);
    else await undoLive(within, context, change, author);
    return (await within.findSettingChange(change.id)) as SettingChange;
  });
}

async function undoLive(store: Store, context: SettingContext, change: SettingChange, author: Author): Promise<void> {
  const group = requireGroup(change.group);
  refuseChangedSince(change, (await store.findSettings(group))?.values ?? {});
  for (const name of Object.keys(change.from)) {
    const by = context.live.fixedBy(requireKey(group, name));
    if (by !== undefined) throw new Fault('setting_fixed', { name, by }, 'conflict');
  }
  const draft = await draftOf(store, context, group, new Map(Object.entries(change.from)));
  await put(store, group, draft, change.id, author);
}

async function undoRegistration(store: Store, change: SettingChange, author: Author): Promise<void> {
  refuseChangedSince(change, { ...(await store.readRegistration()) });
  await setRegistration(store, change.from, author, change.id);
}

/** @throws Fault that names what somebody has changed since. */
function refuseChangedSince({ to }: SettingChange, now: Values): void {
  const names = Object.keys(to).filter((name) => !isSame(now[name], to[name]));
  if (names.length > 0) throw new Fault('setting_change_since', { names: names.join(', ') }, 'conflict');
}

/** Stores it with the change and the event; undefined where nothing differs. @throws Fault. */
async function put(
  store: Store,
  group: LiveGroup,
  { before, next }: Draft,
  undoes: SettingChangeId | null,
  author: Author,
): Promise<SettingChange | undefined> {
  const old: Values = before?.values ?? {};
  const names = [...new Set([...Object.keys(old), ...Object.keys(next)])].filter(
    (name) => !isSame(old[name], next[name]),
  );
  if (names.length === 0 && undoes === null) return undefined;
  const side = (values: Values) => Object.fromEntries(names.map((name) => [name, values[name] ?? null]));
  const { actor, at } = author;
  const change: SettingChange = {
    id: newSettingChangeId(at),
    at,
    actor,
    group,
    from: side(old),
    to: side(next),
    undoes,
    undoneBy: null,
  };
  const settings: StoredSettings = {
    group,
    values: next,
    version: (before?.version ?? 0) + 1,
    createdAt: before?.createdAt ?? at,
    changedAt: at,
  };
  const action = undoes === null ? 'setting.set' : 'setting.undo';
  const event = auditEvent(author, action, group, shownSide(change.from, 'old'), shownSide(change.to, 'new'));
  if ((await store.putSettings(settings, change, event)) === 'gone')
    throw new Fault('settings_changed', {}, 'conflict');
  return change;
}

/** For the audit log: that a secret was set or changed, and never what it is. */
const shownSide = (side: SettingChange['from'], which: 'old' | 'new'): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(side).map(([name, value]) => [
      name,
      value !== null && isSealed(value) ? `[${which} secret]` : value,
    ]),
  );

/** By name, in the order of the table. */
export const namesOf = (group: LiveGroup): readonly string[] =>
  liveKeys.filter((key) => liveSettings[key].group === group).map((key) => liveSettings[key].name);
