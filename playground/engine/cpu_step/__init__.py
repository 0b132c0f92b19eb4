"""The fused CPU step: one decode step of a Llama-like model, without the modules around it."""
