"""Whether the scores that a config names are those that its validation gives.

mmengine looks for them after the first validation. The best checkpoint and a schedule that waits
for a plateau then end the training, and early stopping never stops it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmengine.config import Config

from ..errors import InputError
from ..near_names import did_you_mean

Options = Mapping[str, Any]
SIZES = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
OVERLAPS = {
    'mIoU': ('mIoU', 'mAcc'),
    'mDice': ('mDice', 'mAcc'),
    'mFscore': ('mFscore', 'mPrecision', 'mRecall'),
}


def check_named_scores(cfg: Config) -> None:
    """Compare the scores that a config names with those of ``val_evaluator``.

    Raises:
        ValueError: If one is none of them. Metrics whose scores are not known here are passed over.
    """
    known = scores_of(cfg.get('val_evaluator'))
    if known is None:
        return
    for place, score in _named(cfg):
        # a model may give losses in the validation, which mmengine adds
        if score not in known and 'loss' not in score:
            raise InputError(
                f'{place}={score!r} is no score of val_evaluator, which gives '
                f'{", ".join(sorted(known))}.' + did_you_mean(score, known, alike=0.5)
            )


def check_topk(cfg: Config, phase: str) -> None:
    """Check that a classifier has as many classes as ``Accuracy`` looks at.

    MMPretrain notices it after all pictures of the validation or test.

    Args:
        cfg: The config.
        phase: ``'val'`` or ``'test'``.

    Raises:
        ValueError: If it has fewer.
    """
    number = ((cfg.get('model') or {}).get('head') or {}).get('num_classes')
    place = f'{phase}_evaluator'
    for i, metric in enumerate(_as_list(cfg.get(place))):
        if not number or not isinstance(metric, dict) or _name(metric) != 'Accuracy':
            continue
        most = max(_as_list(metric.get('topk', 1)))
        if most > number:
            key = f'{place}.{i}' if isinstance(cfg[place], list) else place
            raise InputError(
                f'{key}.topk has {most}, but the model has {number} classes. '
                f'Pass --cfg-options "{key}.topk=(1,)"'
            )


def _named(cfg: Config) -> Iterator[tuple[str, str]]:
    """Yield each place that names a score, and the score."""
    saver = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    for score in _as_list(saver.get('save_best')):
        if score and score != 'auto':
            yield 'default_hooks.checkpoint.save_best', score
    for key, sign in (('custom_hooks', 'EarlyStopping'), ('param_scheduler', 'ReduceOnPlateau')):
        for i, part in enumerate(_as_list(cfg.get(key))):
            if isinstance(part, dict) and _name(part).startswith(sign):
                yield f'{key}.{i}.monitor', part.get('monitor', 'loss')  # mmengine's default


def _name(part: Options) -> str:
    kind = part.get('type')
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2]


def scores_of(evaluator: Any) -> set[str] | None:
    """Return the names of the scores of an evaluator's config, or ``None`` if one is not known."""
    found = set()
    for metric in evaluator if isinstance(evaluator, list) else [evaluator]:
        if not isinstance(metric, dict) or _name(metric) not in SCORES:
            return None
        default, names = SCORES[_name(metric)]
        scores = names(metric)
        if not scores:
            return None
        prefix = metric.get('prefix') or default
        found |= {f'{prefix}/{score}' if prefix else score for score in scores}
    return found


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _of_coco(options: Options) -> list[str]:
    kinds = _as_list(options.get('metric', 'bbox'))
    if options.get('format_only') or options.get('classwise') or not {*kinds} <= {'bbox', 'segm'}:
        return []
    return [f'{kind}_{item}' for kind in kinds for item in options.get('metric_items') or SIZES]


def _of_overlaps(options: Options) -> list[str]:
    kinds = _as_list(options.get('iou_metrics', 'mIoU'))
    if options.get('format_only') or not {*kinds} <= {*OVERLAPS}:
        return []
    return ['aAcc', *(score for kind in kinds for score in OVERLAPS[kind])]


def _of_accuracy(options: Options) -> list[str]:
    if len(_as_list(options.get('thrs', 0.0))) > 1:
        return []
    return [f'top{number}' for number in _as_list(options.get('topk', 1))]


# Metric to what stands before its scores, and the scores; none if these depend on more
SCORES: dict[str, tuple[str, Callable[[Options], list[str]]]] = {
    'CocoMetric': ('coco', _of_coco),
    'IoUMetric': ('', _of_overlaps),
    'Accuracy': ('accuracy', _of_accuracy),
}
