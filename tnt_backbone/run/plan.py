"""Which batch, accumulation and options fit into the memory of a GPU, from what was measured."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from mmengine.config import Config

from ..errors import InputError
from ..type_names import type_name
from ..variants import get_variant
from .dry_run import dry_run
from .image_size import training_size
from .measured_memory import BACKBONES, DETECTORS, PART_OF, SIZES, backbone_memory, rest_memory
from .pretrained import our_backbones

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One way to run a config.

    Attributes:
        images: Images of a process in one iteration.
        parts: Iterations of one optimizer step.
        amp: Whether it runs in mixed precision.
        with_cp: Whether activations are computed again.
        gib: Memory of a process.
    """

    images: int
    parts: int
    amp: bool
    with_cp: bool
    gib: float


@dataclass(frozen=True, kw_only=True)
class Known:
    """The row of the measurements that a config belongs to.

    Attributes:
        path: Where the backbone stands in the config.
        family: Class of the backbone.
        arch: The variant that was measured.
        is_smaller: Whether the variant of the config is a smaller one.
        model: Class of the model.
        size: Index of ``SIZES``, the smallest that is not smaller than the images.
        image: Height and width of the images.
    """

    path: str
    family: str
    arch: str
    is_smaller: bool
    model: str
    size: int
    image: tuple[int, int]


def images_per_process(cfg: Config, gpus: int, global_batch: int | None) -> int:
    """Return how many images a process has in each optimizer step.

    Args:
        cfg: The config.
        gpus: Number of processes.
        global_batch: Images per step in all processes; by default those that the learning rate of
            the config is for.

    Raises:
        ValueError: If they cannot be shared out evenly, or the config does not say how many.
    """
    images = global_batch or (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    if not images:
        raise InputError(
            'the config does not say for how many images per step its learning rate is '
            '(auto_scale_lr.base_batch_size). Pass --global-batch IMAGES'
        )
    if images % gpus:
        more = -(-images // gpus) * gpus
        raise InputError(
            f'{images} images per step cannot be shared out evenly among --gpus {gpus}. Pass a '
            f'divisor of {images} as --gpus, or --global-batch {more} (the learning rate then '
            'follows with --auto-scale-lr)'
        )
    return images // gpus


def find_measured(cfg: Config, size: tuple[int, int] | None = None) -> Known:
    """Return the measurements that a config belongs to.

    Args:
        cfg: The config.
        size: Height and width of the training images, if the pipeline does not say them.

    Raises:
        ValueError: If nothing like it was measured.
    """
    backbones = our_backbones(cfg)
    names = sorted({f'{family} {arch!r}' for family, arch, *_ in BACKBONES})
    if len(backbones) != 1:
        raise InputError(
            f'the model has {len(backbones)} backbones of tnt_backbone; measured was one'
        )
    ((path, part),) = backbones.items()
    kind, model = part['type'], type_name(cfg.model)
    family, rows = kind.__name__, list(kind.VARIANTS.values())
    own = part.get('arch', inspect.signature(kind).parameters['arch'].default)
    variant = get_variant(own, kind.VARIANTS)
    measured = [a for f, a, *_ in BACKBONES if f == family]
    measure = (
        'To measure yours: tnt train CONFIG on one GPU says the memory of each step, and which '
        'options take less if there is not enough. tnt train CONFIG --dry-run --gpus N counts '
        'weights, gradients and optimizer without a GPU'
    )
    larger = (a for a in measured if variant in rows[: rows.index(kind.VARIANTS[a]) + 1])
    arch = next(larger, None)
    if arch is None:
        raise InputError(
            f'the memory of {path} ({family}, arch={own!r}) was not measured, only that of '
            f'{", ".join(names)}, and it is not smaller. {measure}'
        )
    if (PART_OF.get(model), family, arch, None) not in DETECTORS:
        pairs = sorted({f'{m} with {f}' for m, f, _, _ in DETECTORS})
        raise InputError(
            f'the memory of model.type={model!r} with {family} was not measured, only that of '
            f'{", ".join(pairs)}, and Faster R-CNN as a part of Mask R-CNN. {measure}'
        )
    image = size or training_size(cfg)
    if image is None:
        raise InputError('no transform of the training pipeline says a size. Pass --size H W')
    pixels = image[0] * image[1]
    fitting = [i for i, (height, width) in enumerate(SIZES) if height * width >= pixels]
    if not fitting:
        raise InputError(
            f'training images of up to {image[0]}x{image[1]} pixels are larger than those that '
            f'were measured, {SIZES[-1][0]}x{SIZES[-1][1]}. {measure}'
        )
    return Known(
        path=path,
        family=family,
        arch=arch,
        is_smaller=variant != kind.VARIANTS[arch],
        model=model,
        size=fitting[0],
        image=image,
    )


def fixed_memory(cfg: Config, gpus: int) -> dict[str, int]:
    """Return the bytes of a process that do not depend on images, by what they are for.

    Args:
        cfg: The config; it is changed.
        gpus: Number of processes.
    """
    memory = dict(dry_run(cfg, gpus, has_data=False).memory)
    if gpus == 1:  # without a wrapper
        memory.pop("all-reduce's copy of the gradients", None)
    return memory


def choices(cfg: Config, known: Known, images: int, memory: dict[str, int]) -> Iterator[Choice]:
    """Yield all ways to run a config, those that change least first.

    Args:
        cfg: The config.
        known: The measurements that it belongs to.
        images: Images of a process in each optimizer step.
        memory: See :func:`fixed_memory`.
    """
    has_amp = 'Amp' in str(cfg.optim_wrapper.get('type'))
    has_cp = bool(our_backbones(cfg)[known.path].get('with_cp'))
    fixed = sum(memory.values()) / GIB
    pixels = [height * width for height, width in SIZES]
    share = pixels[known.size] / pixels[-1]
    counted = (memory['gradients'] + memory['optimizer']) / GIB
    rest = share * rest_memory(known.model, known.family, known.arch, fixed=counted)
    ways = product((True,) if has_amp else (False, True), (True,) if has_cp else (False, True))
    for amp, with_cp in ways:
        for parts in (part for part in range(1, images + 1) if images % part == 0):
            at_once = images // parts
            dtype = 'bfloat16' if amp else 'float32'
            activations = backbone_memory(
                known.family, known.arch, at_once, dtype, known.size, with_cp=with_cp
            )
            yield Choice(
                images=at_once,
                parts=parts,
                amp=amp,
                with_cp=with_cp,
                gib=fixed + activations + at_once * rest,
            )
