// The tables of docs/model-servers.md about what no key reaches, made from the code: a house test compares them.
import type { BodyFields } from '../../src/upstream/kind.ts';
import { kinds } from '../../src/upstream/kinds.ts';
import { closed } from './closed.ts';

const names = (list: readonly string[]): string => list.map((name) => `\`${name}\``).join(', ');

/** One row for each kind, in the order in which kinds are tried. */
export const closedRows = (): string[][] =>
  kinds.map(({ name }) => {
    const { see, generate, steer } = closed[name] ?? { see: [], generate: [], steer: [] };
    return [`\`${name}\``, names(see), names(generate), names(steer)];
  });

const effects: readonly (readonly [keyof BodyFields, plan: string, effect: string])[] = [
  ['lengths', '`maxOutputTokens`', 'lowered'],
  ['choices', '`maxOutputTokens`', 'share the length; too many: refused'],
  ['reloadOptions', '`reloadOptions=strip`', 'removed from `options`'],
  ['reloads', '`reloadOptions=strip`', 'removed'],
  ['shared', '`reloadOptions=strip`', 'removed'],
  ['templates', '`templates=strip`', 'removed'],
  ['templateArguments', '`templates=strip`', 'bounded'],
  ['debug', '`debugFields=strip`', 'removed'],
  ['grammars', 'any', 'bounded'],
  ['deferred', 'any, and without a plan', 'refused'],
];

/** One row for each kind and effect. */
export const fieldRows = (): string[][] =>
  kinds.flatMap(({ name, fields }) => [
    ...effects.flatMap(([group, plan, effect]) => {
      const list = (fields[group] ?? []) as readonly string[];
      return list.length > 0 ? [[`\`${name}\``, names(list), plan, effect]] : [];
    }),
    ...(fields.capped ?? []).map(([field, most]) => [`\`${name}\``, `\`${field}\``, 'any', `lowered to ${most}`]),
  ]);
