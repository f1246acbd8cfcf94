"""Renaming by a table, the core of every converter."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor


def rename(tensors: dict[str, Tensor], rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Rename keys by the first rule that matches.

    Args:
        tensors: The tensors of a checkpoint.
        rules: Pairs of a regular expression for the head of a key and its replacement. A key
            without a rule is dropped: heads, and what a model does not use.
    """
    renamed = {}
    for key, value in tensors.items():
        for pattern, replacement in rules:
            new_key, count = re.subn(f'^{pattern}', replacement, key)
            if count:
                renamed[new_key] = value
                break
    return renamed


def fuse_qkv(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Join ``attn.qk`` and ``attn.v`` into ``attn.qkv``, queries first."""
    fused = {}
    for key, value in tensors.items():
        if '.attn.qk.' in key:
            fused[key.replace('.qk.', '.qkv.')] = torch.cat(
                (value, tensors[key.replace('.qk.', '.v.')])
            )
        elif '.attn.v.' not in key:
            fused[key] = value
    return fused
