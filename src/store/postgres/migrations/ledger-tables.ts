// The ledger's tables. The rows are partitioned by month: their ids begin with the time and are text, so a range of ids is a
// range of time, and a month is dropped as a whole. Sums are double precision, as they are where they are read: unlike a 64-bit
// integer, one can never be too large to be written.
export const ledgerTables: readonly string[] = [
  `create table usage (
  id text primary key, at bigint not null, key_id text not null, account_id text not null,
  operation text not null, model text, upstream text, outcome text not null, status bigint not null, code text,
  streamed bigint not null, prompt_tokens bigint not null, completion_tokens bigint not null,
  source text not null, bytes_in bigint not null, bytes_out bigint not null, first_byte_ms bigint,
  duration_ms bigint not null, address text not null, queued_ms bigint default 0 not null,
  repeats bigint default 1 not null, cache_read_tokens bigint default 0 not null,
  cache_write_tokens bigint default 0 not null, reasoning_tokens bigint default 0 not null, asked_model text,
  fallback_for text, unit text, units bigint default 0 not null, ready_ms bigint, load_ms bigint, sent_ms bigint,
  first_token_ms bigint, changes text, refused_by text, detail text
) partition by range (id)`,
  `create table outcome_steps (
  step bigint not null, at bigint not null, model text not null, upstream text not null, outcome text not null,
  status bigint not null, code text not null, requests double precision not null, first_id text not null,
  last_id text not null, most_tokens bigint not null, longest_ms bigint not null,
  longest_queued_ms bigint not null, longest_first_token_ms bigint not null,
  constraint outcome_steps_key primary key (step, at, model, upstream, outcome, status, code)
)`,
  `create table latency_steps (
  step bigint not null, at bigint not null, model text not null, upstream text not null,
  prompt_tokens double precision not null, completion_tokens double precision not null, running_ms double precision not null,
  waiting_ms double precision not null, first_token text not null, duration text not null, queue text not null,
  speed text not null, constraint latency_steps_key primary key (step, at, model, upstream)
)`,
  `create table usage_quarterly (
  account_id text not null, quarter bigint not null, key_id text not null, model text not null,
  requests double precision not null, refused double precision not null, failed double precision not null, prompt_tokens double precision not null,
  completion_tokens double precision not null, estimated double precision not null, cache_read_tokens double precision not null,
  cache_write_tokens double precision not null, reasoning_tokens double precision not null, own_refusals double precision not null,
  first_id text, last_id text, constraint usage_quarterly_key primary key (account_id, quarter, key_id, model)
)`,
  `create table unit_quarterly (
  account_id text not null, quarter bigint not null, key_id text not null, model text not null,
  unit text not null, units double precision not null,
  constraint unit_quarterly_key primary key (account_id, quarter, key_id, model, unit)
)`,
  `create table time_sums (
  step bigint not null, at bigint not null, unit text not null, requests double precision not null,
  refused double precision not null, failed double precision not null, prompt_tokens double precision not null,
  completion_tokens double precision not null, estimated double precision not null, cache_read_tokens double precision not null,
  cache_write_tokens double precision not null, reasoning_tokens double precision not null, units double precision not null,
  constraint time_sums_key primary key (step, at, unit)
)`,
  `create table model_sums (
  step bigint not null, model text not null, at bigint not null, unit text not null, requests double precision not null,
  refused double precision not null, failed double precision not null, prompt_tokens double precision not null,
  completion_tokens double precision not null, estimated double precision not null, cache_read_tokens double precision not null,
  cache_write_tokens double precision not null, reasoning_tokens double precision not null, units double precision not null,
  constraint model_sums_key primary key (step, model, at, unit)
)`,
  `create table key_sums (
  step bigint not null, at bigint not null, account_id text not null, key_id text not null, unit text not null,
  requests double precision not null, refused double precision not null, failed double precision not null, prompt_tokens double precision not null,
  completion_tokens double precision not null, estimated double precision not null, cache_read_tokens double precision not null,
  cache_write_tokens double precision not null, reasoning_tokens double precision not null, units double precision not null,
  constraint key_sums_key primary key (step, at, account_id, key_id, unit)
)`,
  `create table coarse_sums_until (
  name text primary key, quarter bigint not null
)`,
  `create table usage_other partition of usage default`,
  `create index usage_quarterly_by_time on usage_quarterly (quarter)`,
  `create index unit_quarterly_by_time on unit_quarterly (quarter)`,
];
