// The models on the model servers, for operators: what each server has and has loaded, what it says about a model, and having it
// unload or pull one.
import type { Author } from '../domain/audit.ts';
import { newPullId } from '../domain/id.ts';
import { parseModelName } from '../domain/model-name.ts';
import { refusal } from '../domain/refusal.ts';
import type {
  LoadedModel,
  ModelDescription,
  ModelManagement,
  Pull,
  PullProgress,
  ServerModel,
  ServerModels,
  StoredPull,
} from '../domain/server-models.ts';
import type { Fields, Listed } from '../upstream/kind.ts';
import { ManagementFailed } from '../upstream/management-failed.ts';
import type { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/server.ts';
import type { ModelPulls, PullTarget } from './model-pulls.ts';

const listTimeoutMs = 5_000;
const mostLicense = 100_000;
const mostSettings = 10_000;

export interface ManagedModelsTools {
  readonly registry: Pick<UpstreamRegistry, 'all'>;
  readonly pulls: ModelPulls;
  /** Whether models may come from this registry; it can change at run time. */
  readonly mayPullFrom: (host: string) => boolean;
  readonly wallNow: () => number;
  /** The progress of pulls at other gates, by id. */
  readonly elsewhere: () => Promise<ReadonlyMap<string, PullProgress>>;
}

export function manageModels({
  registry,
  pulls,
  mayPullFrom,
  wallNow,
  elsewhere,
}: ManagedModelsTools): ModelManagement {
  const managed = (name: string): PullTarget => {
    const server = registry.all.find((each) => nameOf(each) === name);
    if (!server) throw refusal('server_missing', { name }, 'not_found');
    const { control } = server.kind;
    if (!control || server.kindName === undefined) throw refusal('server_unmanaged', { server: name }, 'conflict');
    return { server, name, control };
  };
  const targetsOf = (servers: 'all' | readonly string[]): PullTarget[] => {
    if (servers !== 'all') return [...new Set(servers)].map(managed);
    const all = registry.all.filter(({ takesCalls, kind, kindName }) => takesCalls && kind.control && kindName);
    if (all.length === 0) throw refusal('pull_servers', {}, 'conflict');
    return all.map((server) => managed(nameOf(server)));
  };
  return {
    list: () => Promise.all(registry.all.map(showServer)),
    describe: async (name, model) => {
      const target = managed(name);
      return descriptionOf(await asked(target, () => target.control.describe(target.server, model)));
    },
    unload: async (name, model, write) => {
      const target = managed(name);
      await write();
      await asked(target, () => target.control.unload(target.server, model));
    },
    pull: async ({ model, servers, author }, store) => {
      const name = parseModelName(model);
      if (!name) throw refusal('model_name_shape_here', { name: model });
      if (!mayPullFrom(name.host)) throw refusal('registry_host', { host: name.host });
      const targets = targetsOf(servers);
      const made = targets.map((target): StoredPull => newPull(target, name.canonical, author, wallNow(), pulls.gate));
      return pulls.start(made, targets, () => store(made));
    },
    cancelPull: (id, author) => pulls.cancel(id, author),
    progress: async () => new Map([...(await elsewhere()), ...pulls.progress()]),
  };
}

/** As the API of servers names it. */
const nameOf = ({ entry: { terms }, name, basePath }: Upstream): string => terms?.name ?? name + basePath;

const newPull = ({ name }: PullTarget, model: string, { actor }: Author, at: number, gate: string): Pull => ({
  id: newPullId(at),
  server: name,
  model,
  state: 'running',
  startedBy: actor,
  startedAt: at,
  endedAt: null,
  error: null,
  gate,
  progress: null,
});

/** @throws Refusal with what the server says, as far as people may read it. */
async function asked<T>({ server, name }: PullTarget, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ManagementFailed)) throw refusal('server_silent', { server: name }, 'conflict');
    const said = server.screen.sentence(error.said ?? '') ?? '';
    throw refusal(
      'server_answers',
      { server: name, said: said === '' ? String(error.status) : said },
      error.status === 404 ? 'not_found' : 'conflict',
    );
  }
}

async function showServer(server: Upstream): Promise<ServerModels> {
  const { kind, kindName, takesCalls } = server;
  const signal = AbortSignal.timeout(listTimeoutMs);
  const [all, loaded] = await Promise.all([
    kind.models(server, signal, []).catch(() => undefined),
    kind.loaded(server, signal, []).catch(() => []),
  ]);
  return {
    server: nameOf(server),
    kind: kindName ?? null,
    isManaged: kind.control !== undefined && kindName !== undefined,
    isServing: takesCalls,
    answers: all !== undefined,
    models: modelsOf(all ?? [], loaded),
  };
}

function modelsOf(all: readonly Listed[], loaded: readonly Listed[]): ServerModel[] {
  const inMemory = new Map(loaded.map((each) => [keyOf(each.name), each]));
  return all.map((each) => {
    const now = inMemory.get(keyOf(each.name));
    const details = fieldsIn(each.ollama['details']);
    return {
      name: each.name,
      size: each.size,
      changedAt: timeIn(each.ollama['modified_at']),
      family: textIn(details['family']),
      parameters: textIn(details['parameter_size']),
      quantization: textIn(details['quantization_level']),
      loaded: now
        ? loadedOf(now)
        : each.isLoaded === true
          ? { size: null, vram: null, until: null, context: null }
          : null,
    };
  });
}

const loadedOf = ({ ollama, size }: Listed): LoadedModel => ({
  size,
  vram: countIn(ollama['size_vram']),
  until: timeIn(ollama['expires_at']),
  context: countIn(ollama['context_length']),
});

function descriptionOf(said: Fields): ModelDescription {
  const details = fieldsIn(said['details']);
  const info = fieldsIn(said['model_info']);
  const context = Object.entries(info).find(([name]) => name.endsWith('.context_length'))?.[1];
  const { capabilities } = said;
  return {
    family: textIn(details['family']),
    format: textIn(details['format']),
    parameters: textIn(details['parameter_size']),
    quantization: textIn(details['quantization_level']),
    context: countIn(context),
    capabilities: Array.isArray(capabilities)
      ? capabilities.filter((each) => typeof each === 'string').slice(0, 50)
      : [],
    settings: textIn(said['parameters'], mostSettings),
    license: textIn(said['license'], mostLicense),
  };
}

const keyOf = (name: string): string => parseModelName(name)?.canonical ?? name;
const fieldsIn = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const textIn = (value: unknown, most = 200): string | null =>
  typeof value === 'string' && value !== '' ? value.slice(0, most).toWellFormed() : null;
const countIn = (value: unknown): number | null =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;

/** Go writes an unset time as the year 1, and a model that is never unloaded as a time that no date can have. */
function timeIn(value: unknown): number | null {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) || at <= 0 ? null : at;
}
