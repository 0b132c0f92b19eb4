"""The true end of a loaded model's context."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from playground.core.model.context import context_length
from playground.engine.machine import compat

#: How model families name the table of learned positions.
_TABLES = ("wpe", "embed_positions", "position_embeddings", "position_embedding")


def true_context(model: PreTrainedModel, stated: int) -> int:
    """Return the longest text in tokens, 0 where there is no limit.

    `stated`: by the config.json, 0 if it is silent; the architecture's default holds then. A table
    of learned positions ends a text in any case: beyond it there is no embedding.
    """
    context = stated or context_length(compat.text_config(model).to_dict())
    limits = [rows for rows in (context, _learned_positions(model)) if rows]
    return min(limits, default=0)


def _learned_positions(model: PreTrainedModel) -> int:
    """Return the number of positions that have an embedding of their own, 0 without a table.

    The table stands beside the embeddings of the tokens; others belong to images or sounds.
    """
    tokens = model.get_input_embeddings()
    for parent in model.modules():
        children = dict(parent.named_children())
        if not any(child is tokens for child in children.values()):
            continue
        for name in _TABLES:
            table = children.get(name)
            if isinstance(table, torch.nn.Embedding):
                # Some tables begin with rows for padding.
                first = table.padding_idx + 1 if table.padding_idx is not None else 0
                return max(0, table.num_embeddings - int(getattr(table, "offset", first)))
    return 0
