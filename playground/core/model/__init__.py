"""What a model's files say: checkpoints, tensor headers, weights, KV caches, remote code."""
