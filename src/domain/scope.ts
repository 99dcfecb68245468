// What a key may do, one word each. Deny by default: a route names the scope it needs, a key lists the scopes it has.

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
export type Scope = (typeof scopes)[number];

export const scopeMeanings: Record<Scope, string> = {
  'inference:chat': 'generate text: chat, generate, completions, responses, messages',
  'inference:audio': 'transcribe audio',
  'inference:embed': 'make embeddings',
  metadata: 'read version, model lists and model details',
  cloud: "use cloud models and web search, which spend the operator's ollama.com account and send prompts away",
  'models:pull': 'download models from an allowed registry host',
  'models:push': 'upload models to an allowed registry host',
  'models:create': 'create models and upload their blobs',
  'models:copy': 'copy models',
  'models:delete': 'delete models',
  account: "see and sign out the server's own ollama.com account",
  'management:read': 'read accounts, keys, plans, usage and the audit log through the management API',
  'management:write': 'change accounts, keys, plans and suspensions through the management API',
};

/** What opens the management API. The role of an account says whether its keys can hold and use it, and no plan does. */
export const managementScopes = ['management:read', 'management:write'] as const satisfies readonly Scope[];
export type ManagementScope = (typeof managementScopes)[number];

export const isManagement = (scope: string): scope is ManagementScope =>
  (managementScopes as readonly string[]).includes(scope);

/** Short words that people type, and what they stand for. */
const aliases: Record<string, readonly Scope[]> = {
  inference: ['inference:chat', 'inference:audio'],
  embeddings: ['inference:embed'],
  'models:write': ['models:create', 'models:copy'],
  management: ['management:read', 'management:write'],
  models: ['models:pull', 'models:push', 'models:create', 'models:copy', 'models:delete'],
};

/** What a new key gets when nothing is said: use the models, see the models, change nothing. */
export const defaultScopes: readonly Scope[] = ['inference:chat', 'inference:audio', 'inference:embed', 'metadata'];

/** More than using and seeing the models: what costs the operator money, changes the model server, or manages the gate. */
export const isPowerful = (asked: readonly Scope[] | undefined): boolean =>
  asked?.some((scope) => !defaultScopes.includes(scope)) ?? false;

/** Scopes and aliases in, the set of scopes out, in registry order. Throws a sentence for a word it does not know. */
export function parseScopes(words: readonly string[]): Scope[] {
  const found = new Set<Scope>();
  for (const word of words) {
    const known = scopes.find((scope) => scope === word);
    const expanded = known ? [known] : Object.hasOwn(aliases, word) ? aliases[word] : undefined;
    if (!expanded) {
      throw new Error(`unknown scope "${word}"; the scopes are ${[...scopes, ...Object.keys(aliases)].join(', ')}`);
    }
    for (const scope of expanded) found.add(scope);
  }
  return scopes.filter((scope) => found.has(scope));
}
