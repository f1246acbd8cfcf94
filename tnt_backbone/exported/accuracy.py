"""How accurate a model is on the test data of a config: the libraries' data sets and metrics."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS, DefaultScope
from mmengine.structures import InstanceData, PixelData
from tqdm import tqdm

from ..data_checks.findings import shorten
from ..errors import InputError
from ..predict.model import TrainedModel
from ..predict.pictures import Picture, UnreadablePictureError
from ..predict.results import Classification, Detection, Result, Segmentation
from .model import ExportedModel
from .parity import LEAST

# Metrics that count, and what makes points of 100 of them. Others are left to `tnt test`.
POINTS = {'bbox_mAP': 100, 'segm_mAP': 100, 'mAP': 100, 'mIoU': 1, 'top1': 1}
POINTS |= {'multi-label/mAP': 1, 'multi-label/f1-score': 1}
ALLOWED = 1.0  # points that a file may lose


def load_test_data(cfg: Config, trained: TrainedModel) -> Any:
    """Return the data set that accuracies are compared on.

    Args:
        cfg: With ``test_dataloader`` and ``test_evaluator``.
        trained: The checkpoint's model.

    Raises:
        ValueError: If it has too few pictures, or other classes than the model.
    """
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        dataset = DATASETS.build(copy.deepcopy(cfg.test_dataloader.dataset))
    if len(dataset) < LEAST:
        raise InputError(
            f'test_dataloader.dataset has {len(dataset)} pictures; a comparison of accuracies '
            f'needs {LEAST}. Pass a config that has more: --config FILE'
        )
    classes = tuple(map(str, dataset.metainfo.get('classes') or ()))
    if classes != trained.classes:
        raise InputError(
            f'test_dataloader.dataset has the classes {shorten(classes)}, the checkpoint '
            f'{shorten(trained.classes)}. Pass the config that it was trained with: --config FILE'
        )
    return dataset


def compare_accuracies(
    cfg: Config, dataset: Any, trained: TrainedModel, exported: ExportedModel
) -> dict[str, Any]:
    """Return how much less accurate a file is than its checkpoint.

    Args:
        cfg: As for :func:`load_test_data`.
        dataset: From there.
        trained: The checkpoint's model.
        exported: The file's.

    Returns:
        ``pictures`` (their number), ``metrics`` (of each name the points, 0 to 100, of the
        ``checkpoint`` and of the ``file``, and those ``lost``), ``allowed`` (the most that may be
        lost of each), ``passed``.

    Raises:
        UnreadablePictureError: If a picture is damaged.
        ValueError: If there is no metric that counts, or the checkpoint itself finds nothing.
    """
    before = _measure(cfg, dataset, trained)
    if not before:
        raise InputError(
            f'the test data gives none of the metrics {", ".join(POINTS)}: test_evaluator has none '
            'of them, or the checkpoint finds no object. Pass another config: --config FILE'
        )
    for name, points in before.items():
        if not points > ALLOWED:
            raise InputError(
                f'the checkpoint reaches {points:.2f} of 100 points ({name}) on its test data, so '
                'nothing can be said of the file. Train it further, or pass a config with other '
                'test data: --config FILE'
            )
    # COCO's has no entry if not one object was found
    after = {**dict.fromkeys(before, 0.0), **_measure(cfg, dataset, exported)}
    metrics = {
        name: {'checkpoint': points, 'file': after[name], 'lost': points - after[name]}
        for name, points in before.items()
    }
    return {
        'pictures': len(dataset),
        'metrics': metrics,
        'allowed': ALLOWED,
        'passed': all(metric['lost'] <= ALLOWED for metric in metrics.values()),
    }


def _measure(cfg: Config, dataset: Any, model: TrainedModel | ExportedModel) -> dict[str, float]:
    """Return the metrics that count, in points."""
    options: dict[str, Any] = {'score': 0.0} if model.task == 'detection' else {}
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        evaluator = Evaluator(copy.deepcopy(cfg.test_evaluator))
    evaluator.dataset_meta = dataset.metainfo
    results = model.stream(_pictures(dataset), **options)
    for i, result in enumerate(tqdm(results, total=len(dataset), unit='picture', disable=None)):
        if isinstance(result, UnreadablePictureError):
            raise result
        sample = dataset[i]['data_samples']  # with the truth
        _put(result, sample)
        evaluator.process([sample])
    found = evaluator.evaluate(len(dataset))
    names = {name: name if name in POINTS else name.rpartition('/')[2] for name in found}
    return {name: float(found[name]) * POINTS[key] for name, key in names.items() if key in POINTS}


def _pictures(dataset: Any) -> Iterator[Picture]:
    for i in range(len(dataset)):
        path = dataset.get_data_info(i).get('img_path')
        if path is None:
            raise InputError(
                f'test_dataloader.dataset ({type(dataset).__name__}) has no picture files. Pass a '
                'config with a data set of files: --config FILE'
            )
        yield Picture(path, path)


def _put(result: Result, sample: Any) -> None:
    """Write a prediction into a sample of the data set, in the library's form."""
    if isinstance(result, Classification):
        label = result.label if result.chosen is None else torch.from_numpy(result.chosen)
        sample.set_pred_score(torch.from_numpy(result.scores)).set_pred_label(label)
    elif isinstance(result, Segmentation):
        sample.pred_sem_seg = PixelData(data=torch.from_numpy(result.labels)[None])
    elif isinstance(result, Detection):
        found = {'bboxes': result.boxes, 'scores': result.scores, 'labels': result.labels}
        if result.masks is not None:
            found['masks'] = result.masks
        sample.pred_instances = InstanceData(
            **{name: torch.from_numpy(value) for name, value in found.items()}
        )
