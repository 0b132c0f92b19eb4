"""Models: the Hugging Face Hub, its local cache, and folders; no torch, no Qt."""
