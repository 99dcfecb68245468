// The requests to every subject and the expected answers, defined once for the upstream, the load and the checks.

/** The name of the only model. */
export const model = 'bench:latest';
/** The figures that every answer reports; a subject that meters must have recorded exactly these. */
export const tokens = { prompt: 26, completion: 50 } as const;
/** Pieces of a streamed answer, including the one with the end mark. */
export const chunkCount = 50;
/** Time between two pieces of one stream. */
export const intervalMs = 20;
/** Connections of the unary load, each with one request at a time. */
export const connections = 32;
/** Streams that run at the same time. */
export const streamsAtOnce = 300;

export type Dialect = 'ollama' | 'openai';

/** The route of a dialect's chat. */
export const chatPath: Record<Dialect, string> = { ollama: '/api/chat', openai: '/v1/chat/completions' };

/** About 150 bytes, like a short question. */
export function chatBody(stream: boolean): string {
  const content = 'Who stands at the checkpoint, and what must a traveller show?';
  return JSON.stringify({ model, stream, messages: [{ role: 'user', content }] });
}
