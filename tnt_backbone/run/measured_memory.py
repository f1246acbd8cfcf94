"""Memory of training steps, as it was measured: GiB on top of the model (docs/performance.md).

On a CPU, where it depends on the C library's heap by up to a third. On an H200, the four cases that
were measured on both took 6 to 8 % less.
"""

SIZES = ((512, 512), (640, 640), (800, 1344))  # height and width, in pixels

# benchmarks/memory_plan.py: a backbone with the pyramid of a ResNet-50, forward and backward.
# (family, arch, images, dtype): for each size, without and with with_cp
BACKBONES: dict[tuple[str, str, int, str], tuple[tuple[float, float], ...]] = {
    ('TNT', 's', 1, 'float32'): ((0.62, 0.39), (0.94, 0.64), (2.23, 1.78)),
    ('PyramidTNT', 's', 1, 'float32'): ((0.74, 0.58), (1.08, 0.82), (2.45, 1.75)),
    ('T2TViT', '14', 1, 'float32'): ((0.70, 0.48), (0.97, 0.74), (2.41, 1.41)),
    ('TNT', 's', 2, 'float32'): ((1.12, 0.64), (1.71, 1.01), (4.34, 2.33)),
    ('PyramidTNT', 's', 2, 'float32'): ((1.31, 0.92), (2.09, 1.44), (4.64, 3.21)),
    ('T2TViT', '14', 2, 'float32'): ((1.21, 0.74), (1.90, 1.61), (4.54, 2.24)),
    ('TNT', 's', 1, 'bfloat16'): ((0.50, 0.37), (0.68, 0.48), (1.53, 1.08)),
    ('PyramidTNT', 's', 1, 'bfloat16'): ((0.57, 0.52), (0.75, 0.60), (1.66, 1.23)),
    ('T2TViT', '14', 1, 'bfloat16'): ((0.54, 0.35), (0.69, 0.49), (1.82, 1.09)),
    ('TNT', 's', 2, 'bfloat16'): ((0.86, 0.57), (1.30, 0.91), (3.10, 2.06)),
    ('PyramidTNT', 's', 2, 'bfloat16'): ((0.95, 0.72), (1.43, 0.98), (3.02, 2.19)),
    ('T2TViT', '14', 2, 'bfloat16'): ((0.95, 0.58), (1.48, 0.90), (3.42, 1.89)),
}

# benchmarks/detector.py: steps of whole detectors with AdamW, one image of the largest size, fp32,
# without with_cp. (model, family, arch, window_size)
DETECTORS = {
    ('RetinaNet', 'TNT', 's', None): 3.35,
    ('MaskRCNN', 'TNT', 's', None): 3.31,
    ('RetinaNet', 'TNT', 's', 14): 3.68,
    ('MaskRCNN', 'TNT', 's', 14): 3.61,
    ('RetinaNet', 'PyramidTNT', 's', None): 3.83,
    ('MaskRCNN', 'PyramidTNT', 's', None): 4.23,
}
# A model that is part of a measured one
PART_OF = {'RetinaNet': 'RetinaNet', 'MaskRCNN': 'MaskRCNN', 'FasterRCNN': 'MaskRCNN'}


def backbone_memory(
    family: str, arch: str, images: int, dtype: str, size: int, *, with_cp: bool
) -> float:
    """Return GiB of a backbone's step; from the third image on, each takes as much as the second.

    Args:
        family: Class of the backbone.
        arch: Its variant.
        images: Images at a time.
        dtype: ``'float32'`` or ``'bfloat16'``.
        size: Index of ``SIZES``.
        with_cp: Whether activations are computed again.
    """
    one, two = (BACKBONES[family, arch, n, dtype][size][with_cp] for n in (1, 2))
    return one + (images - 1) * (two - one)


def rest_memory(model: str, family: str, arch: str, *, fixed: float) -> float:
    """Return GiB of one image in neck and heads, of the largest size in fp32.

    Args:
        model: A key of ``PART_OF``.
        family: Class of the backbone.
        arch: Its variant.
        fixed: GiB of gradients and optimizer, which do not grow with the images.
    """
    whole = DETECTORS[PART_OF[model], family, arch, None]
    backbone = backbone_memory(family, arch, 1, 'float32', len(SIZES) - 1, with_cp=False)
    return max(0.0, whole - backbone - fixed)
