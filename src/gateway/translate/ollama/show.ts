// /api/show and /api/version for a server of another kind: only what its list reports about the model.

import { ModelNotFound } from '../../model-access.ts';
import { type Outline, scanObject } from '../../payload/strict-json.ts';
import { Field } from '../closed-object.ts';
import type { Translation } from '../translation.ts';

const outline: Outline = { known: new Set(['model', 'name', 'verbose']) };

export const show: Translation = ({ bytes }, { contextOf }) => {
  new Field(bytes, scanObject(bytes, outline), '').members({
    model: () => undefined,
    name: () => undefined,
    // The whole of what is known is not long.
    verbose: (field) => field.flag(),
  });
  return {
    own: async ({ model, listed }) => {
      const found = await listed();
      if (!found) throw new ModelNotFound(model);
      const { details, modified_at: modified } = found.ollama;
      const context = contextOf() ?? found.context;
      return JSON.stringify({
        // As Ollama writes PARAMETER lines: the context that the model is loaded with.
        ...(context === undefined ? {} : { parameters: `num_ctx                        ${context}` }),
        details,
        model_info: {},
        ...(found.capabilities ? { capabilities: found.capabilities } : {}),
        modified_at: modified,
      });
    },
  };
};

/** Of the API that these translations were written for; clients compare it with the version that has what they need. */
const apiVersion = '0.33.0';

export const version: Translation = () => ({ own: () => Promise.resolve(JSON.stringify({ version: apiVersion })) });
