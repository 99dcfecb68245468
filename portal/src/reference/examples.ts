// Bodies to begin with for calls of models: their formats are those of Ollama, OpenAI and Anthropic, and the gate has no schema of them.

/** By the name of the operation in the ledger. */
const bodies: Readonly<Record<string, (model: string) => unknown>> = {
  show: (model) => ({ model }),
  generate: (model) => ({ model, prompt: 'Why is the sky blue?', stream: false }),
  chat: (model) => ({ model, messages: [{ role: 'user', content: 'Why is the sky blue?' }], stream: false }),
  embed: (model) => ({ model, input: 'Why is the sky blue?' }),
  embeddings: (model) => ({ model, prompt: 'Why is the sky blue?' }),
  'chat-completions': (model) => ({ model, messages: [{ role: 'user', content: 'Why is the sky blue?' }] }),
  completions: (model) => ({ model, prompt: 'Why is the sky blue?' }),
  responses: (model) => ({ model, input: 'Why is the sky blue?' }),
  'openai-embeddings': (model) => ({ model, input: 'Why is the sky blue?' }),
  messages: (model) => ({ model, max_tokens: 200, messages: [{ role: 'user', content: 'Why is the sky blue?' }] }),
  'count-tokens': (model) => ({ model, messages: [{ role: 'user', content: 'Why is the sky blue?' }] }),
};

export const exampleCall = (name: string, model: string): unknown => bodies[name]?.(model) ?? { model };
