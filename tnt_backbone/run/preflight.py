"""The checks before a run starts, so that a mistake costs seconds instead of hours."""

import itertools

from mmengine.config import Config
from mmengine.registry import OPTIMIZERS, init_default_scope

from ..data_checks.batch_shapes import find_batch_shapes, find_padding
from ..data_checks.datasets import build_leaf_datasets, check_files, check_num_classes
from ..data_checks.findings import notes_unless_error
from ..errors import InputError
from ..near_names import did_you_mean
from .checkpoint_file import check_checkpoint
from .embedded_config import test_dataset
from .few_places import check_places
from .named_scores import check_named_scores, check_topk
from .pretrained import check_backbones, check_pretrained, notes_on_frozen_parts

# What mmengine's Runner takes together or not at all
TRAIN_KEYS = ('train_dataloader', 'train_cfg', 'optim_wrapper')
VAL_KEYS = ('val_dataloader', 'val_cfg', 'val_evaluator')
TEST_KEYS = ('test_dataloader', 'test_cfg', 'test_evaluator')


def check_training(cfg: Config) -> list[str]:
    """Check keys, data, optimizer, backbone and weights of a training run.

    Returns:
        Notes for the log.

    Raises:
        FileNotFoundError: If a file is not there.
        ValueError: If a file or the config is not what training needs.
    """
    require_keys(cfg, TRAIN_KEYS, 'training')
    if any(cfg.get(key) is not None for key in VAL_KEYS):
        require_keys(cfg, VAL_KEYS, 'validation', '. To train without validation: --no-validate')
        check_named_scores(cfg)
        check_topk(cfg, 'val')
    _check_optimizer(cfg)
    if cfg.get('load_from'):
        check_checkpoint(cfg.load_from, resume=cfg.get('resume', False))
    notes = check_data(cfg, ('train', 'val'))
    check_pretrained(cfg)
    check_backbones(cfg)
    check_places(cfg, ('train', 'val'))
    return notes + notes_on_frozen_parts(cfg) + notes_on_test_size(cfg)


def notes_on_test_size(cfg: Config) -> list[str]:
    """Return a note if pictures are validated in another size than the one they are tested in.

    What a training shows of itself would then not be true of ``tnt test`` and ``tnt predict``.
    """
    sizes = {}
    for phase in ('val', 'test'):
        steps = test_dataset({'test_dataloader': cfg.get(f'{phase}_dataloader')}).get('pipeline')
        sizes[phase] = [step['scale'] for step in steps or () if step.get('scale')]
    if not all(sizes.values()) or sizes['val'] == sizes['test']:
        return []
    return [
        f'val_dataloader resizes pictures to {sizes["val"]}, test_dataloader to {sizes["test"]}. '
        'tnt test, tnt predict and tnt export use the latter. For the same size, change it in '
        'both: --cfg-options test_dataloader.dataset.pipeline.1.scale=...'
    ]


def check_testing(cfg: Config) -> list[str]:
    """Check data and checkpoint of a test run; returns and raises like :func:`check_training`."""
    require_keys(cfg, TEST_KEYS, 'testing')
    check_topk(cfg, 'test')
    check_checkpoint(cfg.load_from)
    notes = check_data(cfg, ('test',))
    check_backbones(cfg)
    check_places(cfg, ('test',))
    return notes


def require_keys(cfg: Config, keys: tuple[str, ...], purpose: str, advice: str = '') -> None:
    """Check that a config has what the Runner takes together.

    Raises:
        ValueError: If a key is missing or ``None``.
    """
    missing = [key for key in keys if cfg.get(key) is None]
    if missing:
        raise InputError(
            f'the config has no {" and no ".join(missing)}. For {purpose} it must have '
            f'{", ".join(keys)}{advice}'
        )


def _check_optimizer(cfg: Config) -> None:
    """Check that the optimizer is known: mmengine calls what it has not found."""
    optimizer = cfg.optim_wrapper.get('optimizer')
    kind = optimizer.get('type') if isinstance(optimizer, dict) else None
    if not isinstance(kind, str):
        return
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    with OPTIMIZERS.switch_scope_and_registry(None) as registry:
        if registry.get(kind) is not None:
            return
    known = sorted(OPTIMIZERS.module_dict)
    question = did_you_mean(kind, known, alike=0.5)
    raise InputError(
        f'optim_wrapper.optimizer.type={kind!r} is unknown.'
        + (question or f' Known are {", ".join(known)}')
    )


def check_data(cfg: Config, phases: tuple[str, ...]) -> list[str]:
    """Check that the data sets of a config exist, fit the model, and have usable annotations.

    Returns:
        Notes for the log.

    Raises:
        FileNotFoundError: If a file is not there.
        ValueError: If the data is not what the model or its library can use.
    """
    datasets = build_leaf_datasets(cfg, phases)
    check_files(cfg, datasets)
    notes = check_num_classes(cfg, datasets)
    if cfg.get('default_scope') == 'mmpretrain':
        from ..data_checks.class_folders import check_class_folders

        for dataset in itertools.chain.from_iterable(datasets.values()):
            check_class_folders(dataset)
    if cfg.get('default_scope') == 'mmseg':
        from ..data_checks.label_maps import check_label_maps

        for phase, leaves in datasets.items():
            for leaf in leaves:
                notes += check_label_maps(leaf, is_training=phase == 'train')
    if cfg.get('default_scope') == 'mmdet':
        from ..data_checks.coco import check_coco, find_in_orders, is_plain_coco, read_file
        from ..data_checks.coco_file import forget_coco_files

        leaves = [*filter(is_plain_coco, itertools.chain.from_iterable(datasets.values()))]
        for leaf in leaves:
            notes += check_coco(leaf)
        notes_unless_error(find_in_orders((leaf, read_file(leaf)) for leaf in leaves))
        forget_coco_files()
    for phase in datasets.keys() - {'train'}:
        notes_unless_error(find_batch_shapes(cfg, phase, datasets[phase]))
        notes_unless_error(find_padding(cfg))
    return list(dict.fromkeys(notes))  # train and val say the same of the heads
