// The number of slots of a model on a server: from the operator's entry for the server, else the settings for the model, else
// what the server reports, else the settings for all models.
import { parseModelName } from '../domain/model-name.ts';
import { slotsOn } from '../domain/model-server.ts';
import type { LiveSettings } from '../settings/live.ts';
import type { Upstream } from '../upstream/server.ts';

export type SlotsFor = (model: string, server: Upstream) => number;

export function slotsOf(live: LiveSettings): SlotsFor {
  const byModel = live.derive(
    ({ modelSlots }) =>
      new Map(
        modelSlots.map((entry) => {
          const [model = '', slots] = entry.split('=');
          // `gemma3:4b=8`, by the name that the queue uses for the model.
          return [parseModelName(model)?.canonical ?? model, Number(slots)];
        }),
      ),
  );
  return (model, { terms, details }) =>
    slotsOn(terms.slots, model) ?? byModel.now.get(model) ?? details.slotsOf(model) ?? live.now.slots;
}
