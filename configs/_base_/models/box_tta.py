"""--tta for detectors of boxes, with the tta_pipeline of datasets/coco_detection.py.

MMDetection merges only boxes, so configs with masks have no --tta. The values are those of its
configs/retinanet/retinanet_tta.py.
"""

tta_model = dict(
    type='DetTTAModel',
    tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
)
