"""Mean and std of the images that PyramidTNT's weights were trained on, as in tnt.py."""

# RGB: mean = std = 0.5 of the range 0..1, 0.5 * 255 = 127.5
normalization = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5])
