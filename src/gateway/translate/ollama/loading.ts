// A chat or generation without text asks Ollama to load the model, and has no answer but that it is loaded. The gateway says so where
// the server does; it starts no load, which such a server does with the first real call.
import { type OwnAnswer, untranslatable } from '../translation.ts';
import type { Shape } from './chat-answer.ts';

/** `name`: the field that is empty. */
export const loading = (name: string, shape: Shape): OwnAnswer => ({
  own: async ({ model, at, isLoaded }) => {
    if (!(await isLoaded())) throw untranslatable(name, 'is empty, and the model is not known to be loaded');
    const nothing = shape({ content: '', thinking: '', calls: [] });
    return `{"model":${JSON.stringify(model)},"created_at":"${new Date(at).toISOString()}",${nothing},"done":true,"done_reason":"load"}`;
  },
});
