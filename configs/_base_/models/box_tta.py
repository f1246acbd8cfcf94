"""--tta for detectors of boxes, with the tta_pipeline of datasets/coco_detection.py.

MMDetection merges boxes alone, so detectors of masks have none. Values of its
configs/retinanet/retinanet_tta.py.
"""

tta_model = dict(
    type='DetTTAModel',
    tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
)
