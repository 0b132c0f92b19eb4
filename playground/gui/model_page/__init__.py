"""A model's page: card, facts, published results, quantized versions."""
