// Media types of answers: the closed lists of what model servers are known to send, none of which a browser runs.

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
