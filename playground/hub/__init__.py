"""Where models come from: the Hugging Face Hub, its cache here, and folders; no torch, no Qt."""
