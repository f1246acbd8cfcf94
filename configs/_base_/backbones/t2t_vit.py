"""Mean and std of the images that T2T-ViT's weights were trained on, as in tnt.py."""

# RGB, ImageNet's: (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225) of the range 0..1, times 255
normalization = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
