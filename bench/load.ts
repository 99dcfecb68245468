// What is asked of every subject and what comes back, said once for the upstream, the load and the checks.

/** The name of the only model there is. */
export const model = 'bench:latest';
/** The figures that every answer reports; a subject that meters must have booked exactly these. */
export const tokens = { prompt: 26, completion: 50 } as const;
/** Pieces of a streamed answer, the one with the end mark among them. */
export const chunkCount = 50;
/** Time between two pieces of one stream. */
export const intervalMs = 20;
/** Connections of the unary load, each with one request at a time. */
export const connections = 32;
/** Streams that run at the same time. */
export const streamsAtOnce = 300;

export type Dialect = 'ollama' | 'openai';

/** The route that a dialect's chat is asked on. */
export const chatPath: Record<Dialect, string> = { ollama: '/api/chat', openai: '/v1/chat/completions' };

/** About 150 bytes, as a short question is. */
export function chatBody(stream: boolean): string {
  const content = 'Who stands at the checkpoint, and what must a traveller show?';
  return JSON.stringify({ model, stream, messages: [{ role: 'user', content }] });
}
