// Anthropic's API, or a server that has its list of models (https://docs.anthropic.com/en/api/models-list). Its key is a header
// line of the server's credentials: `x-api-key: …`.
import { entriesOf, entryOf, readJson } from '../../json-route.ts';
import type { Listed, UpstreamKind } from '../../kind.ts';
import { noDetails } from '../../no-details.ts';
import { listedOf } from '../../v1-models.ts';

/** Every request must name it. */
const version = ['anthropic-version', '2023-06-01'];

/** The longest page; there are far fewer models. */
const path = '/v1/models?limit=1000';

const models: UpstreamKind['models'] = async (server, signal, via) => {
  const found = entryOf(await readJson(server, path, signal, [...via, ...version]));
  // Other servers with /v1/models do not write it in pages.
  if (!found || !('has_more' in found)) return undefined;
  return entriesOf(found, 'data').flatMap(listed);
};

function listed(value: unknown): Listed[] {
  const { id, created_at: at } = entryOf(value) ?? {};
  const created = typeof at === 'string' ? Date.parse(at) / 1000 : 0;
  return listedOf({ id, object: 'model', created: Number.isSafeInteger(created) ? created : 0, owned_by: 'anthropic' });
}

export const anthropic: UpstreamKind = {
  name: 'anthropic',
  probe: (server, signal) => models(server, signal, []),
  models,
  // There is nothing to load.
  loaded: () => Promise.resolve([]),
  paths: new Set(['/v1/messages', '/v1/messages/count_tokens']),
  listDialects: [],
  openDetails: () => noDetails,
  // A stream always has its usage: that of the prompt in its first event, that of the answer in its last but one.
  usage: { takesStreamOptions: false, refusesStreamOptions: () => false },
  cancel: (call, reason) => call.abort(reason),
  requestHeaders: version,
  extras: { sampling: { top_k: 'top_k' }, continuesAnswers: 'always' },
  fields: {
    lengths: ['max_tokens'],
    grammars: ['output_config', 'output_format'],
    // Other machines that it would call, a machine that keeps files, and the account's share of dearer capacity.
    shared: ['mcp_servers', 'container', 'service_tier'],
  },
};
