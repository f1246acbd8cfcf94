"""What the tools must know about MMDetection, MMSegmentation and MMPretrain, a row for each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.fileio import join_path

from ..errors import InputError
from ..type_names import type_name
from .config import DATALOADERS


def _draw_into_hook(key: str) -> Callable[[Config, str], None]:
    def set_folder(cfg: Config, folder: str) -> None:
        cfg.default_hooks.visualization[key] = folder

    return set_folder


def _draw_into_visualizer(cfg: Config, folder: str) -> None:
    cfg.visualizer.save_dir = folder


def _dump_predictions(metric: str) -> Callable[[Config, str], None]:
    def add_metric(cfg: Config, out: str) -> None:
        if not out.endswith(('.pkl', '.pickle')):
            raise InputError(
                f'--out {out!r} must end in .pkl: predictions are written as a pickle file'
            )
        cfg.test_evaluator = [*_evaluators(cfg), {'type': metric, 'out_file_path': out}]

    return add_metric


def _write_label_maps(cfg: Config, out: str) -> None:
    if Path(out).suffix:
        raise InputError(f'--out {out!r} must be a folder: label maps are written as PNG files')
    cfg.test_evaluator = [
        _mirrored(cfg, {**evaluator, 'output_dir': out}) for evaluator in _evaluators(cfg)
    ]


# Hooks and metrics that name a result after the image's file only, and ours, which keep its folder
MIRRORED = {
    'DetVisualizationHook': 'tnt_backbone.engine.mirrored_boxes.MirroredDetVisualizationHook',
    'SegVisualizationHook': 'tnt_backbone.engine.mirrored_masks.MirroredSegVisualizationHook',
    'IoUMetric': 'tnt_backbone.engine.mirrored_masks.MirroredIoUMetric',
}


def _mirrored(cfg: Config, part: dict[str, Any]) -> dict[str, Any]:
    """Return a hook or metric that writes each image's results into the image's own folder."""
    mirrored = MIRRORED.get(type_name(part))
    if mirrored is None:
        return part
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    prefix = dataset.get('data_prefix') or {}
    folder = prefix.get('img_path') or prefix.get('img') or ''
    return {**part, 'type': mirrored, 'image_root': join_path(dataset.get('data_root', ''), folder)}


def _evaluators(cfg: Config) -> list[dict[str, Any]]:
    return (
        [cfg.test_evaluator] if isinstance(cfg.test_evaluator, dict) else list(cfg.test_evaluator)
    )


@dataclass(frozen=True, kw_only=True)
class Library:
    """What differs from library to library.

    Attributes:
        draw_key: Argument that switches the visualization hook on.
        set_show_dir: Puts the folder of ``--show-dir`` where the library wants it.
        set_out: Asks for ``--out``: a pickle of all predictions, or a folder of label maps.
        dataloader: Arguments of every dataloader that its own tools add to its configs.
        tests_in_amp: Whether its predictions can be made from maps of 16 bits.
    """

    draw_key: str
    set_show_dir: Callable[[Config, str], None]
    set_out: Callable[[Config, str], None]
    dataloader: dict[str, Any] = field(default_factory=dict)
    tests_in_amp: bool = True


LIBRARIES = {
    'mmdet': Library(
        draw_key='draw',
        set_show_dir=_draw_into_hook('test_out_dir'),
        set_out=_dump_predictions('DumpDetResults'),
        tests_in_amp=False,  # boxes get the dtype of the maps, and NMS needs float32
    ),
    'mmseg': Library(
        draw_key='draw',
        set_show_dir=_draw_into_visualizer,
        set_out=_write_label_maps,
    ),
    'mmpretrain': Library(
        draw_key='enable',
        set_show_dir=_draw_into_hook('out_dir'),
        set_out=_dump_predictions('DumpResults'),
        dataloader={'collate_fn': {'type': 'default_collate'}},
    ),
}


def library_of(cfg: Config) -> Library:
    """Return the row of a config's ``default_scope``.

    Raises:
        ValueError: If the config belongs to none of the three libraries.
    """
    scope = cfg.get('default_scope')
    if scope not in LIBRARIES:
        raise InputError(
            f'default_scope={scope!r} of the config is not one of {", ".join(LIBRARIES)}. Set it '
            "to the library of the config's models, such as default_scope = 'mmdet'"
        )
    return LIBRARIES[scope]


def set_dataloader_defaults(cfg: Config) -> None:
    """Fill in what the tools of the config's library fill in."""
    scope = cfg.get('default_scope')
    defaults = LIBRARIES[scope].dataloader if scope in LIBRARIES else {}
    for name in DATALOADERS:
        for key, value in defaults.items() if cfg.get(name) else ():
            cfg[name].setdefault(key, value)


def show_predictions(cfg: Config, *, show: bool, show_dir: str | None, wait_time: float) -> None:
    """Draw the predictions of every test image (``--show``, ``--show-dir``).

    Args:
        cfg: The config; its visualization hook is switched on.
        show: Open a window.
        show_dir: Folder for the pictures.
        wait_time: Seconds that the window waits.

    Raises:
        ValueError: If the config has no visualization hook or no visualizer.
    """
    hook = (cfg.get('default_hooks') or {}).get('visualization')
    if hook is None or not cfg.get('visualizer'):
        raise InputError(
            '--show and --show-dir need a visualizer and default_hooks.visualization in the '
            'config, as in configs/_base_/runtimes/detection.py'
        )
    library = library_of(cfg)
    hook.update(_mirrored(cfg, hook))
    hook[library.draw_key] = True
    hook['interval'] = 1  # the default draws each 50th image or fewer
    if show:
        hook['show'], hook['wait_time'] = True, wait_time
    if show_dir:
        library.set_show_dir(cfg, show_dir)


def skip_validation(cfg: Config) -> None:
    """Train without looking at the validation data (``--no-validate``)."""
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None


def use_amp_for_testing(cfg: Config) -> None:
    """Test in mixed precision (``--amp``): float16 on a GPU, bfloat16 on a CPU.

    Raises:
        ValueError: If the library's predictions cannot be made from such maps.
    """
    if not library_of(cfg).tests_in_amp:
        raise InputError(
            f'--amp: {cfg.default_scope} tests only in float32. Its boxes get the dtype of the '
            'feature maps, and its NMS takes no other dtype than float32. Leave --amp out'
        )
    cfg.test_cfg['fp16'] = True  # mmengine's word for both types


def use_tta(cfg: Config) -> None:
    """Predict on several versions of each image and merge them (``--tta``).

    Raises:
        ValueError: If the config does not say how.
    """
    missing = [key for key in ('tta_model', 'tta_pipeline') if key not in cfg]
    if missing:
        raise InputError(
            f'--tta: the config has no {" and no ".join(missing)}. Add them as in configs/_base_, '
            'or leave --tta out to test each image once'
        )
    cfg.model = {**cfg.tta_model, 'module': cfg.model}
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    dataset.pipeline = cfg.tta_pipeline
