"""From a peft adapter to GGUF: as an adapter for llama.cpp, or merged into its base."""
