"""Mean and std of the images that TNT's weights were trained on, as model.data_preprocessor.

They are those of tnt_backbone/checkpoints/published.json, and tests/configs/test_normalization.py
compares them. They are written out here because mmengine's configs with a _base_ list are meant to
import no packages.
"""

# RGB: mean = std = 0.5 of the range 0..1, 0.5 * 255 = 127.5
normalization = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5])
