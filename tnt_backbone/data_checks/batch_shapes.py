"""Whether the pictures that are validated or tested together can be put together.

MMDetection pads the pictures of a batch. MMSegmentation pads them in training only, and configs of
MMPretrain put them together as they are. Pictures of several sizes then end a training at its first
validation.
"""

from typing import Any

from mmengine.config import Config
from mmengine.dataset import BaseDataset

from .findings import Finding
from .image_headers import READ_BEFORE_A_RUN, read_header

PADDINGS = ('size', 'size_divisor')  # of MMSegmentation's data_preprocessor.test_cfg
TRIED = 8  # pictures of different sizes that go through the pipeline


def find_batch_shapes(cfg: Config, phase: str, leaves: list[BaseDataset]) -> list[Finding]:
    """Return what is wrong with the sizes of the pictures that one batch holds.

    Args:
        cfg: The config.
        phase: ``'val'`` or ``'test'``.
        leaves: The data sets of that phase, of ``build_leaf_datasets``.
    """
    loader = cfg.get(f'{phase}_dataloader') or {}
    batch = loader.get('batch_size') or 1
    if batch < 2 or not _stacks(cfg, loader):
        return []
    shapes: dict[tuple[int, int], str] = {}  # behind the pipeline, and a picture of that size
    for leaf in leaves:
        for index, path in _of_different_sizes(leaf):
            if shape := _shape(leaf, index):
                shapes.setdefault(shape, path)
    if len(shapes) < 2:
        return []
    (shape, path), (other, its_path) = list(shapes.items())[:2]
    return [
        Finding(
            'pictures of several sizes in a batch',
            f'{phase}_dataloader.batch_size={batch}',
            f'pictures of one size only can be put together, but behind the pipeline {path} has '
            f'{shape[0]}x{shape[1]} pixels (height x width), and {its_path} {other[0]}x{other[1]}. '
            f'Pass --cfg-options {phase}_dataloader.batch_size=1',
        )
    ]


def _preprocessor(cfg: Config) -> dict[str, Any]:
    return (cfg.get('model') or {}).get('data_preprocessor') or {}


def _is_of_segmentors(preprocessor: dict[str, Any]) -> bool:
    return str(preprocessor.get('type')).endswith('SegDataPreProcessor')


def find_padding(cfg: Config) -> list[Finding]:
    """Return whether MMSegmentation would not know how to pad the pictures of a validation."""
    preprocessor = _preprocessor(cfg)
    padding = preprocessor.get('test_cfg')
    if not padding or not _is_of_segmentors(preprocessor):
        return []
    given = {key: padding[key] for key in PADDINGS if padding.get(key) is not None}
    if len(given) == 1:
        return []
    where = 'model.data_preprocessor.test_cfg'
    ways = [f'{where}.{key}=None' for key in given] or [f'{where}=None']
    return [
        Finding(
            'padding of a validation that cannot be',
            where,
            f'MMSegmentation takes one of {" and ".join(PADDINGS)}, but given are '
            f'{given or "none of them"}. Pass --cfg-options {" or ".join(ways)}',
        )
    ]


def _stacks(cfg: Config, loader: dict[str, Any]) -> bool:
    """Return whether pictures become one tensor without being padded to the largest."""
    collate = loader.get('collate_fn') or {}
    return 'default_collate' in str(collate.get('type')) or _is_of_segmentors(_preprocessor(cfg))


def _of_different_sizes(leaf: BaseDataset) -> list[tuple[int, str]]:
    """Return the numbers and files of some pictures whose files have different sizes."""
    try:
        leaf.full_init()
    except Exception:  # what is wrong with the annotations is told by others
        return []
    found: dict[tuple[int, int], tuple[int, str]] = {}
    for index in range(0, len(leaf), -(-len(leaf) // READ_BEFORE_A_RUN) or 1):
        path = str(leaf.get_data_info(index).get('img_path') or '')
        if header := path and read_header(path):
            found.setdefault(header.size, (index, path))
    return list(found.values())[:TRIED] if len(found) > 1 else []


def _shape(leaf: BaseDataset, index: int) -> tuple[int, int] | None:
    """Return height and width behind the pipeline; nothing of what fails, or gives several."""
    try:
        shape = leaf.prepare_data(index)['inputs'].shape
    except Exception:  # what fails in a pipeline is told by others
        return None
    return (int(shape[-2]), int(shape[-1]))
