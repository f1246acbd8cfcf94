"""Models by name, ours and those to compare with.

==========================================  ====================================================
``TNT:s``, ``PyramidTNT:ti``, ``T2TViT:14``  a backbone of ours and its variant
``timm:deit_small_patch16_224``              a model of timm, without its classifier
``mmpretrain:tnt-small-p16_3rdparty_in1k``  a model of MMPretrain's index
``PATH/pyramid_tnt.py:ptnt_s_patch16_256``   a function or class of a file, the authors' code say
``PATH/models/t2t_vit.py:t2t_vit_14``         the same, in a package
==========================================  ====================================================

Arguments follow after a plus: ``TNT:s+window_size=14+with_cp=True``.
"""

import ast
import importlib
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mmpretrain
import timm
import torch
from torch import Tensor, nn

from tnt_backbone.backbones import BACKBONES

FAMILIES = {backbone.__name__: backbone for backbone in BACKBONES}
VECTORS = {'TNT': 'cls_token', 'PyramidTNT': 'avg_featmap', 'T2TViT': 'cls_token'}
Shape = tuple[int, int]
Run = Callable[[Tensor], Any]


def parse(name: str) -> tuple[str, str, dict[str, Any]]:
    """Return what stands before the colon, what behind it, and the arguments."""
    model, *options = name.split('+')
    library, _, model = model.rpartition(':')
    pairs = (option.split('=', 1) for option in options)
    return library, model, {key: ast.literal_eval(value) for key, value in pairs}


def backbone_config(name: str) -> dict[str, Any]:
    """Return ``type``, ``arch`` and the further arguments of one of ours."""
    family, arch, options = parse(name)
    return {'type': family, 'arch': arch, **options}


def build(name: str, shape: Shape, *, pyramid: bool = False) -> nn.Module:
    """Build a model with random weights for images of ``shape = (H, W)`` pixels.

    Args:
        name: See above.
        shape: Only timm's Transformers need to know it.
        pyramid: Ours give their feature maps, not one vector an image.

    Raises:
        ValueError: If there is no such model.
    """
    library, model, options = parse(name)
    if library in FAMILIES:
        kind = {} if pyramid else {'out_type': VECTORS[library]}
        return FAMILIES[library](model, **kind, **options)
    if library == 'timm':
        sized = {} if model.startswith('resnet') else {'img_size': shape}
        return timm.create_model(model, num_classes=0, **sized, **options)
    if library == 'mmpretrain':
        return mmpretrain.get_model(model, pretrained=False, **options)
    if library.endswith('.py'):
        return _read_file(Path(library))[model](num_classes=0, **options)
    raise ValueError(
        f'{name!r}: a model is one of {", ".join(f"{f}:ARCH" for f in FAMILIES)}, timm:NAME, '
        'mmpretrain:NAME, FILE.py:FUNCTION'
    )


def _read_file(file: Path) -> dict[str, Any]:
    """Run a file; return its names. One that lies in a package is imported as a part of it."""
    if not (file.parent / '__init__.py').exists():
        return runpy.run_path(str(file))
    folder = file.resolve().parent
    sys.path.insert(0, str(folder.parent))
    try:
        return vars(importlib.import_module(f'{folder.name}.{file.stem}'))
    finally:
        sys.path.remove(str(folder.parent))


def tensors(outputs: Any) -> Iterator[Tensor]:
    """All tensors of a model's outputs."""
    if isinstance(outputs, Tensor):
        yield outputs
    else:
        for output in outputs:
            yield from tensors(output)


def step(run: Run, images: Tensor, dtype: torch.dtype, *, backward: bool) -> None:
    """Run one step under autocast, or in fp32, to its end.

    Args:
        run: The model, compiled or not.
        images: ``(N, 3, H, W)``.
        dtype: ``torch.float32`` for no autocast.
        backward: Run the backward pass of a mean square, too.
    """
    with (
        torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32),
        torch.set_grad_enabled(backward),
    ):
        loss = sum(tensor.float().square().mean() for tensor in tensors(run(images)))
    if backward:
        loss.backward()  # type: ignore[union-attr]
    if images.is_cuda:
        torch.cuda.synchronize()
