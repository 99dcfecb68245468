// How many calls a server works on at once for a model: what an operator says of the server, then the settings for the model,
// then what the server says of itself, then the settings for all.
import { parseModelName } from '../domain/model-name.ts';
import { slotsOn } from '../domain/model-server.ts';
import type { Config } from '../settings/config.ts';
import type { Upstream } from '../upstream/server.ts';

export type SlotsFor = (model: string, server: Upstream) => number;

export function slotsOf(config: Pick<Config, 'modelSlots' | 'slots'>): SlotsFor {
  const byModel = new Map(
    config.modelSlots.map((entry) => {
      const [model = '', slots] = entry.split('=');
      // `gemma3:4b=8` by the name under which the queue knows the model.
      return [parseModelName(model)?.canonical ?? model, Number(slots)];
    }),
  );
  return (model, { terms, details }) =>
    slotsOn(terms.slots, model) ?? byModel.get(model) ?? details.slotsOf(model) ?? config.slots;
}
