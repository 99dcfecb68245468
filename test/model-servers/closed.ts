// The routes of each kind of model server that no key reaches, by its documentation and sources: what they would show or do.
// docs/model-servers.md has the same lists (test/house/kinds.test.ts), and the contract asks for each of them.

export interface Closed {
  /** They show what others do, or what the server is. */
  readonly see: readonly string[];
  /** They generate, count or embed past the meter. */
  readonly generate: readonly string[];
  /** They steer the server, or the calls of others. */
  readonly steer: readonly string[];
}

const list = (text: string): string[] => text.split(/\s+/).filter((path) => path !== '');

export const closed: Readonly<Record<string, Closed>> = {
  ollama: {
    see: list('/metrics /debug/pprof'),
    generate: list('/v1/images/generations /v1/images/edits /v1/audio/speech'),
    steer: list('/api/experimental/aliases'),
  },
  'llama-server': {
    see: list('/health /v1/health /metrics /props /models /slots /lora-adapters /v1/streams /v1/stream/{id}'),
    generate:
      list(`/completion /completions /chat/completions /responses /audio/transcriptions /infill /embedding /embeddings
      /rerank /reranking /v1/rerank /v1/reranking /tokenize /detokenize /apply-template /chat/completions/input_tokens
      /v1/chat/completions/input_tokens /responses/input_tokens /v1/responses/input_tokens /v1/systemone /predict`),
    steer:
      list(`/slots/0?action=save /slots/0?action=restore /slots/0?action=erase /models/load /models/unload /models/sse
      /v1/chat/completions/control /tools /mcp /cors-proxy`),
  },
  vllm: {
    see: list(`/health /ping /version /metrics /load /server_info /is_sleeping /is_paused /tokenizer_info /docs /openapi.json
      /v1/responses/{id}`),
    generate:
      list(`/invocations /pooling /score /v1/score /classify /rerank /v1/rerank /v2/rerank /v2/embed /v2/chat /tokenize
      /detokenize /generate /generative_scoring /inference/v1/generate /v1/chat/completions/render /v1/completions/render
      /v1/audio/translations /v1/realtime`),
    steer: list(`/pause /resume /sleep /wake_up /collective_rpc /reset_prefix_cache /reset_mm_cache /reset_encoder_cache
      /v1/load_lora_adapter /v1/unload_lora_adapter /scale_elastic_ep /is_scaling_elastic_ep /start_profile /stop_profile
      /abort_requests /v1/responses/{id}/cancel /update_weights /init_weight_transfer_engine`),
  },
  sglang: {
    see: list(`/health /metrics /get_model_info /model_info /get_server_info /server_info /get_load /v1/loads
      /get_weights_by_name /weights_checker /docs /openapi.json`),
    generate:
      list(`/generate /generate_from_file /encode /classify /v1/classify /v1/score /v1/rerank /tokenize /v1/tokenize
      /detokenize /v1/detokenize /health_generate /invocations /vertex_generate /parse_function_call /separate_reasoning`),
    steer: list(`/flush_cache /clear_hicache_storage_backend /hicache/storage-backend /update_weights_from_disk
      /update_weights_from_tensor /update_weights_from_distributed /update_weights_from_ipc /update_weight_version
      /init_weights_update_group /destroy_weights_update_group /init_weights_send_group_for_remote_instance
      /send_weights_to_remote_instance /release_memory_occupation /resume_memory_occupation /load_lora_adapter
      /load_lora_adapter_from_tensors /unload_lora_adapter /open_session /close_session /abort_request /pause_generation
      /continue_generation /slow_down /configure_logging /set_trace_level /set_internal_state /start_profile /stop_profile
      /start_expert_distribution_record /stop_expert_distribution_record /dump_expert_distribution_record /freeze_gc
      /v1/files /v1/batches`),
  },
  lmstudio: {
    see: list('/api/v0/models /api/v1/models /api/v1/models/download/status /lmstudio-greeting'),
    generate: list(
      `/api/v1/chat /api/v0/chat/completions /api/v0/completions /api/v0/embeddings /v1/systemone /v1/decisions`,
    ),
    steer: list('/api/v1/models/load /api/v1/models/unload /api/v1/models/download'),
  },
  anthropic: {
    see: list('/v1/organizations/users /v1/organizations/api_keys'),
    generate: list('/v1/messages/batches /v1/complete'),
    steer: list('/v1/files /v1/skills'),
  },
  openai: {
    see: list('/v1/organization/projects /v1/responses/{id} /v1/conversations /v1/threads /v1/containers'),
    generate:
      list(`/v1/batches /v1/realtime /v1/images/generations /v1/images/edits /v1/audio/speech /v1/audio/translations
      /v1/moderations /v1/assistants /v1/videos`),
    steer: list('/v1/files /v1/uploads /v1/vector_stores /v1/fine_tuning/jobs'),
  },
};
