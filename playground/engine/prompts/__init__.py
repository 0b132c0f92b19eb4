"""From a prompt to its ids: the model's chat template and tokenizer, within limits."""
