"""MMDetection's ``CocoMetric`` with faster-coco-eval, where that is installed."""

from typing import Any

from mmengine.config import Config


def use_faster_coco_eval(cfg: Config) -> bool:
    """Let ``CocoMetric`` use faster-coco-eval, if it is installed; the numbers stay the same.

    Only the matching is replaced. The summary stays that of pycocotools: faster-coco-eval's own
    counts all boxes of a picture in AP, where pycocotools counts 100 of each class.

    Args:
        cfg: The config; other libraries than MMDetection are left alone.

    Returns:
        Whether it is used.
    """
    if cfg.get('default_scope') != 'mmdet':
        return False
    try:
        from faster_coco_eval import COCOeval_faster
    except ImportError:
        return False
    from mmdet.evaluation.metrics import coco_metric
    from pycocotools.cocoeval import COCOeval

    class FasterCOCOeval(COCOeval_faster):
        summarize: Any = COCOeval.summarize

    coco_metric.COCOeval = FasterCOCOeval
    return True
