"""Installing ben-lab: embedded and into Ollama, as versions, each with a receipt that proves it."""
