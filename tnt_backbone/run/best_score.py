"""Whether the score that chooses the best checkpoint is one that the validation gives.

mmengine looks for it after the first validation, and ends the training if it is not there.
"""

from collections.abc import Callable, Mapping
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


def check_best_score(cfg: Config) -> None:
    """Compare ``default_hooks.checkpoint.save_best`` with the scores of ``val_evaluator``.

    Raises:
        ValueError: If it is none of them. Metrics whose scores are not known here are passed over.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    wanted = hook.get('save_best') or ()
    known = scores_of(cfg.get('val_evaluator'))
    if known is None:
        return
    for score in [wanted] if isinstance(wanted, str) else wanted:
        if score not in ('auto', *known):
            raise InputError(
                f'default_hooks.checkpoint.save_best={score!r} is no score of val_evaluator, which '
                f'gives {", ".join(sorted(known))}.'
                + did_you_mean(score, known, alike=0.5)
                + ' The first of them: --cfg-options default_hooks.checkpoint.save_best=auto'
            )


def scores_of(evaluator: Any) -> set[str] | None:
    """Return the names of the scores of an evaluator's config, or ``None`` if one is not known."""
    found = set()
    for metric in evaluator if isinstance(evaluator, list) else [evaluator]:
        kind = metric.get('type') if isinstance(metric, dict) else None
        name = str(getattr(kind, '__name__', kind)).rpartition('.')[2]
        if name not in SCORES:
            return None
        default, names = SCORES[name]
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
