// Media types of answers: closed lists of the types that model servers send, none of which a browser executes.

export const jsonTypes: readonly string[] = ['application/json', 'text/plain', 'application/octet-stream'];

export const lineTypes: readonly string[] = [
  ...jsonTypes,
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
];

export const eventTypes: readonly string[] = [...jsonTypes, 'text/event-stream'];

/** A transcription can be subtitles. */
export const transcriptTypes: readonly string[] = [...eventTypes, 'text/vtt', 'text/srt', 'application/x-subrip'];
