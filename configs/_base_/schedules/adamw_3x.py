"""36 epochs of AdamW: learning rate 1e-4, divided by 10 after epochs 27 and 33, weight decay 0.05.

So PyramidTNT was trained on COCO, 16 images a step. Warm-up and limit of the gradient norm are
those of adamw_1x.py.
"""

_base_ = ['adamw_1x.py']

train_cfg = dict(max_epochs=36)
_base_.param_scheduler[1].end = 36
_base_.param_scheduler[1].milestones = [27, 33]
