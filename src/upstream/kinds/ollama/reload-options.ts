// The options with which Ollama loads a model: it loads the model again for a call whose values differ (server/sched.go,
// needsReload).

export const reloadOptions = ['num_gpu', 'num_batch', 'num_thread', 'main_gpu', 'use_mmap', 'draft_num_predict'];
