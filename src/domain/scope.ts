// What a key may do, as scopes. Deny by default: a route names the scope it needs, a key lists the scopes it has. Each
// published service has a scope of its own, which neither a new key nor a new plan has.
import { Unreadable } from './sentences.ts';

/** The scopes that every gate has. */
export const scopes = [
  'inference:chat',
  'inference:audio',
  'inference:embed',
  'metadata',
  'cloud',
  'models:pull',
  'models:push',
  'models:create',
  'models:copy',
  'models:delete',
  'account',
  'management:read',
  'management:write',
] as const;
export type FixedScope = (typeof scopes)[number];
/** The scope of one published service, or of several that share it. */
export type RouteScope = `route:${string}`;
export type Scope = FixedScope | RouteScope;

export const scopeMeanings: Record<FixedScope, string> = {
  'inference:chat': 'generate text: chat, generate, completions, responses, messages',
  'inference:audio': 'transcribe audio',
  'inference:embed': 'make embeddings',
  metadata: 'read version, model lists and model details',
  cloud:
    "use cloud models, web search and other tools of the server, which spend the operator's accounts and send prompts away",
  'models:pull': 'download models from an allowed registry host',
  'models:push': 'upload models to an allowed registry host',
  'models:create': 'create models and upload their blobs',
  'models:copy': 'copy models',
  'models:delete': 'delete models',
  account: "see and sign out the server's own ollama.com account",
  'management:read': 'read accounts, keys, plans, usage and the audit log through the management API',
  'management:write': 'change accounts, keys, plans and suspensions through the management API',
};

/** The scopes of the management API. The role of an account, not its plan, decides who may hold and use them. */
export const managementScopes = ['management:read', 'management:write'] as const satisfies readonly Scope[];
export type ManagementScope = (typeof managementScopes)[number];

/** Names of published services and of their scopes. */
export const routeName = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
export const longestRouteName = 40;

export const isRouteScope = (word: string): word is RouteScope =>
  word.startsWith('route:') && word.length <= 6 + longestRouteName && routeName.test(word.slice(6));

export const isManagement = (scope: string): scope is ManagementScope =>
  (managementScopes as readonly string[]).includes(scope);

/** Short forms that people type, and the scopes they stand for. */
const aliases: Record<string, readonly FixedScope[]> = {
  inference: ['inference:chat', 'inference:audio'],
  embeddings: ['inference:embed'],
  'models:write': ['models:create', 'models:copy'],
  management: ['management:read', 'management:write'],
  models: ['models:pull', 'models:push', 'models:create', 'models:copy', 'models:delete'],
};

/** The scopes of a new key by default: use the models and list them, change nothing. */
export const defaultScopes: readonly Scope[] = ['inference:chat', 'inference:audio', 'inference:embed', 'metadata'];

/** Whether any scope allows more than using and listing models (costs money, changes the server or the gateway). */
export const isPowerful = (asked: readonly Scope[] | undefined): boolean =>
  asked?.some((scope) => !defaultScopes.includes(scope)) ?? false;

/**
 * Expands scopes and aliases to the set of scopes, in registry order; those of published services follow by name. A service
 * need not exist yet. @throws a sentence for an unknown word.
 */
export function parseScopes(words: readonly string[]): Scope[] {
  const found = new Set<FixedScope>();
  const routes = new Set<RouteScope>();
  for (const word of words) {
    if (isRouteScope(word)) {
      routes.add(word);
      continue;
    }
    const known = scopes.find((scope) => scope === word);
    const expanded = known ? [known] : Object.hasOwn(aliases, word) ? aliases[word] : undefined;
    if (!expanded) {
      throw new Unreadable('scope_unknown', {
        scope: word,
        scopes: [...scopes, ...Object.keys(aliases), 'route:<name>'].join(', '),
      });
    }
    for (const scope of expanded) found.add(scope);
  }
  return [...scopes.filter((scope) => found.has(scope)), ...[...routes].toSorted()];
}
