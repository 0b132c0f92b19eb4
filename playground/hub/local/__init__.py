"""Models on this machine: the Hugging Face cache, folders, and preparing a load."""
