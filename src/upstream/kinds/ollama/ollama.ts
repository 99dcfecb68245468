// Ollama, and servers that speak its API.
import type { UpstreamKind } from '../../kind.ts';
import { askedByStreamOptions } from '../../stream-usage.ts';
import { OllamaDetails } from './details.ts';
import { allModels, loadedModels } from './list.ts';
import { ollamaLoads } from './load.ts';
import { ollamaModels } from './manage.ts';
import { reloadOptions } from './reload-options.ts';

export const ollama: UpstreamKind = {
  name: 'ollama',
  probe: (server, signal) => allModels(server, signal, []),
  models: allModels,
  loaded: loadedModels,
  paths: undefined,
  listDialects: ['ollama', 'openai'],
  openDetails: () => new OllamaDetails(),
  loads: ollamaLoads,
  control: ollamaModels,
  usage: askedByStreamOptions,
  // Closing the connection stops generation, but not the processing of a prompt (ollama#11889).
  cancel: (call, reason) => call.abort(reason),
  fields: {
    lengths: ['max_tokens', 'max_output_tokens', 'num_predict'],
    reloadOptions,
    reloads: ['shift'],
    templates: ['raw', 'template'],
    grammars: ['format'],
    debug: ['_debug_render_only'],
    // Image generation: together they decide how long a slot is held.
    capped: [
      ['width', 2048],
      ['height', 2048],
      ['steps', 100],
    ],
  },
};
