"""Heads that MMSegmentation lacks.

Importing it needs MMSegmentation, so nothing else in the package does; a config asks for it with
``custom_imports=dict(imports=['tnt_backbone', 'tnt_backbone.segmentation'])``.
"""

from .trans2seg_head import Trans2SegHead

__all__ = ['Trans2SegHead']
