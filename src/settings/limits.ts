// Who may call from where, and the limits of the gateway: what the data plane reads for each call.
import { z } from 'zod';
import { bytes, type LiveSetting, list, live, origins, positiveSeconds, seconds, setting, slotList } from './kinds.ts';

export const accessSettings = {
  corsOrigins: live(
    'access',
    setting(
      'cors_origins',
      origins,
      [],
      'list of origins',
      'Origins of web pages that may call the gateway from a browser, such as http://localhost:5173; * allows any.',
    ),
  ),
  registryHosts: live(
    'access',
    setting(
      'registry_hosts',
      list,
      ['registry.ollama.ai', 'hf.co', 'huggingface.co'],
      'list of hosts',
      'Registries that models may be pulled from or pushed to, by keys with the scope for it.',
    ),
  ),
  authFailuresPerMinute: live(
    'access',
    setting(
      'auth_failures_per_minute',
      z.coerce.number().int().min(1).max(1_000_000),
      30,
      'failures',
      'Wrong keys from one address (IPv6: one /64) in a minute before further unknown keys are refused.',
    ),
  ),
  applicationsPerMinute: live(
    'access',
    setting(
      'applications_per_minute',
      z.coerce.number().int().min(1).max(1_000_000),
      5,
      'applications',
      'Applications that one address (IPv6: one /64) may send in a minute.',
    ),
  ),
} as const satisfies Record<string, LiveSetting>;

export const limitSettings = {
  slots: live(
    'limits',
    setting(
      'slots',
      z.coerce.number().int().min(1).max(100_000),
      1,
      'calls',
      "Calls that a model server works on at once for one model. Set it to the server's OLLAMA_NUM_PARALLEL; Ollama's own default is 1.",
    ),
  ),
  modelSlots: live(
    'limits',
    setting(
      'model_slots',
      slotList,
      [],
      'list of model=calls',
      'Models with a different number of slots, such as gemma3:4b=8.',
    ),
  ),
  queueLength: live(
    'limits',
    setting(
      'queue_length',
      z.coerce.number().int().min(0).max(100_000),
      256,
      'calls',
      'Calls that may wait for one model; beyond that, the account with the most waiting calls is refused.',
    ),
  ),
  queueSeconds: live(
    'limits',
    setting('queue_seconds', positiveSeconds, 300, 's', 'How long a call may wait for its turn.'),
  ),
  bodyLimitBytes: live(
    'limits',
    setting(
      'body_limit_bytes',
      bytes,
      64 * 1024 * 1024,
      'bytes',
      'Largest request body; blobs are streamed and not limited.',
    ),
  ),
  bodyMemoryBytes: live(
    'limits',
    setting(
      'body_memory_bytes',
      bytes,
      512 * 1024 * 1024,
      'bytes',
      'Memory for the request bodies of all running calls; an account gets half of what others leave, an address three quarters.',
    ),
  ),
  bodySeconds: live(
    'limits',
    setting('body_seconds', positiveSeconds, 120, 's', 'How long a request body may take to arrive.'),
  ),
  firstByteSeconds: live(
    'limits',
    setting(
      'first_byte_seconds',
      positiveSeconds,
      900,
      's',
      'How long a model server may take to begin an answer; loading a large model takes minutes.',
    ),
  ),
  silenceSeconds: live(
    'limits',
    setting('silence_seconds', positiveSeconds, 300, 's', 'How long an answer may pause between two chunks.'),
  ),
  totalSeconds: live(
    'limits',
    setting(
      'total_seconds',
      positiveSeconds,
      3600,
      's',
      'How long one inference may take in total. Transfers of models have no such limit.',
    ),
  ),
  metadataSeconds: live(
    'limits',
    setting(
      'metadata_seconds',
      positiveSeconds,
      60,
      's',
      'How long a request for versions, lists and details may take.',
    ),
  ),
  transferSilenceSeconds: live(
    'limits',
    setting('transfer_silence_seconds', positiveSeconds, 600, 's', 'How long a pull, push or create may pause.'),
  ),
  readerBufferBytes: live(
    'limits',
    setting(
      'reader_buffer_bytes',
      bytes,
      64 * 1024 * 1024,
      'bytes',
      'How much of an answer may wait for a slow reader before the reader is dropped.',
    ),
  ),
  answerMemoryBytes: live(
    'limits',
    setting(
      'answer_memory_bytes',
      bytes,
      512 * 1024 * 1024,
      'bytes',
      'How much of all answers together may wait for slow readers; one account gets at most half of what others leave.',
    ),
  ),
  readerStallSeconds: live(
    'limits',
    setting(
      'reader_stall_seconds',
      positiveSeconds,
      60,
      's',
      'How long a reader may take nothing before it is dropped.',
    ),
  ),
  sseCommentSeconds: live(
    'limits',
    setting(
      'sse_comment_seconds',
      seconds,
      15,
      's',
      'How often a waiting stream under /v1 sends a comment, so that proxies keep the connection; 0 is never.',
    ),
  ),
  refusedRowsPerMinute: live(
    'limits',
    setting(
      'refused_rows_per_minute',
      z.coerce.number().int().min(1).max(1_000_000_000),
      300,
      'rows',
      'Records of refused calls that one key may fill in a minute; further ones share one record with their number.',
    ),
  ),
} as const satisfies Record<string, LiveSetting>;
