"""Whether the modules of a block are exactly what the fused operation computes.

The operation reads parameters and calls no module. So it may stand in for the modules only while
each of them is the plain one: PyTorch's or ours, with its own ``forward``, without hooks, with
ordinary parameters in one place. Everything else is computed by the modules.
"""

import functools
from contextvars import ContextVar, Token
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn import functional as F
from torch.nn.modules import module as torch_module

from ..log import log
from ..ops.constant import is_exporting
from .attention import Attention
from .drop_path import DropPath
from .mlp import Mlp
from .norm import SentenceNorm
from .transformer_block import TransformerBlock

# The modules that the operation replaces.
PARTS: dict[str, tuple[Any, ...]] = {
    'norm1': (nn.LayerNorm, SentenceNorm),
    'attn': (Attention,),
    'attn.qkv': (nn.Linear,),
    'attn.proj': (nn.Linear,),
    'attn.proj_drop': (nn.Dropout,),
    'norm2': (nn.LayerNorm, SentenceNorm),
    'mlp': (Mlp,),
    'mlp.fc1': (nn.Linear,),
    'mlp.act': (nn.GELU,),
    'mlp.fc2': (nn.Linear,),
    'mlp.drop': (nn.Dropout,),
    'drop_path': (DropPath,),
}
# Not get_submodule, which is slower: this runs in every forward pass.
PLACES = tuple((name, *name.rpartition('.')[::2], kinds) for name, kinds in PARTS.items())
# What the classes' methods were when they were imported; somebody may replace them later.
FORWARDS = {kind: kind.forward for kinds in PARTS.values() for kind in kinds}
BLOCK_FORWARD = TransformerBlock.forward
CALL = nn.Module.__call__
# Counters of operations replace these.
FUNCTIONS = {name: getattr(F, name) for name in ('linear', 'gelu', 'scaled_dot_product_attention')}


def why_not_plain(block: Any, words: Tensor) -> str | None:
    """Return what keeps the operation from replacing a block's modules, or ``None``.

    Args:
        block: A block with the attributes of :class:`TransformerBlock`.
        words: ``(S, M, c)``, its input.
    """
    if TransformerBlock.forward is not BLOCK_FORWARD:
        return 'TransformerBlock has another forward'
    if nn.Module.__call__ is not CALL and not is_exporting():  # torch.export replaces it, too
        return 'torch.nn.Module has another __call__'
    if torch_module._has_any_global_hook():
        return 'there is a hook of all modules'
    for name, function in FUNCTIONS.items():
        if getattr(F, name) is not function:
            return f'torch.nn.functional.{name} was replaced'
    owners = {'': block, 'attn': block.attn, 'mlp': block.mlp}
    for name, owner, last, kinds in PLACES:
        part: Any = getattr(owners[owner], last, None)
        kind: Any = type(part)
        if kind not in kinds:
            return f'{name} is a {kind.__name__}'
        if 'forward' in part.__dict__ or kind.forward is not FORWARDS[kind]:
            return f'{name} has another forward'
        if (
            part._forward_hooks
            or part._forward_pre_hooks
            or part._backward_hooks
            or part._backward_pre_hooks
        ):
            return f'{name} has a hook'
    if block.se is not None or block.class_token_only:
        return 'the block has more than attention and an MLP'
    return _why_not_numbers(block) or _why_not_tensors(block, words)


def drops(block: Any) -> bool:
    """Return whether dropout is active; stochastic depth does not count."""
    attn, parts = block.attn, (block.attn.proj_drop, block.mlp.drop)
    return bool(attn.attn_drop_rate and attn.training) or any(p.p and p.training for p in parts)


def _why_not_numbers(block: Any) -> str | None:
    attn = block.attn
    if block.norm1.eps != block.norm2.eps:
        return 'norm1.eps and norm2.eps differ'
    if block.mlp.act.approximate != 'none':
        return f'mlp.act is GELU(approximate={block.mlp.act.approximate!r})'
    if attn.window_size is not None or attn.class_token_only:
        return 'the attention is not global'
    return None


def _why_not_tensors(block: Any, words: Tensor) -> str | None:
    norm1, norm2, attn, mlp = block.norm1, block.norm2, block.attn, block.mlp
    if type(norm1) is not type(norm2):
        return 'norm1 and norm2 are of different classes'
    dims, hidden = words.shape[-1], mlp.fc1.out_features
    norm = (words.shape[-2], dims) if type(norm1) is SentenceNorm else (dims,)
    device, dtype = words.device, words.dtype
    autocast = device.type != 'meta' and torch.is_autocast_enabled(device.type)
    for name, tensor, shape in (
        ('norm1.weight', norm1.weight, norm),
        ('norm1.bias', norm1.bias, norm),
        ('attn.qkv.weight', attn.qkv.weight, (3 * dims, dims)),
        ('attn.qkv.bias', attn.qkv.bias, (3 * dims,)),
        ('attn.proj.weight', attn.proj.weight, (dims, dims)),
        ('attn.proj.bias', attn.proj.bias, (dims,)),
        ('norm2.weight', norm2.weight, norm),
        ('norm2.bias', norm2.bias, norm),
        ('mlp.fc1.weight', mlp.fc1.weight, (hidden, dims)),
        ('mlp.fc1.bias', mlp.fc1.bias, (hidden,)),
        ('mlp.fc2.weight', mlp.fc2.weight, (dims, hidden)),
        ('mlp.fc2.bias', mlp.fc2.bias, (dims,)),
    ):
        if tensor is None:
            if name == 'attn.qkv.bias':
                continue
            return f'there is no {name}'
        if not is_ordinary(tensor):
            return f'{name} is a {type(tensor).__name__}'
        if tensor.shape != shape:
            return f'{name} is of shape {tuple(tensor.shape)}'
        if tensor.device != device:
            return f'{name} is on {tensor.device}, the words on {device}'
        if tensor.dtype != dtype and not autocast:
            return f'{name} is of {tensor.dtype}, the words of {dtype}'
    return None


def is_ordinary(tensor: Tensor) -> bool:
    """Return whether a tensor is PyTorch's own: not quantised, distributed, or a proxy."""
    return type(tensor) is Parameter or type(tensor) is Tensor or is_exporting()


@functools.cache
def say_once(reason: str) -> None:
    """Log, once for each reason, that modules are called one by one."""
    log(
        f'An inner transformer block calls its modules one by one, because {reason}. The results '
        'are those of the modules. It is slower than the fused operation (inner_backend)'
    )


class _Paths:
    """A context in which each block notes its decision, or takes the one that was noted."""

    def __init__(self, noted: list[bool], *, replay: bool) -> None:
        self.noted, self.replay = noted, replay
        self.left: list[bool] = []
        self.tokens: list[Token] = []

    def __enter__(self) -> '_Paths':
        if self.replay:
            self.left = list(self.noted)
        self.tokens.append(_PATHS.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _PATHS.reset(self.tokens.pop())


_PATHS: ContextVar[_Paths | None] = ContextVar('paths', default=None)


def keep_paths() -> tuple[_Paths, _Paths]:
    """Return the two contexts of ``torch.utils.checkpoint``: the second forward pass decides alike.

    A hook that is added or removed between the forward and the backward pass would otherwise change
    what is computed, which raises ``CheckpointError``.
    """
    noted: list[bool] = []
    return _Paths(noted, replay=False), _Paths(noted, replay=True)


def decided() -> bool | None:
    """Return what the first forward pass of a checkpoint decided for the block that asks."""
    paths = _PATHS.get()
    return paths.left.pop(0) if paths is not None and paths.replay and paths.left else None


def note(fused: bool) -> None:
    """Remember a decision, if there is a checkpoint."""
    paths = _PATHS.get()
    if paths is not None and not paths.replay:
        paths.noted.append(fused)
