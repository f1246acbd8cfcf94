"""Old name of ``tnt_backbone.heads.trans2seg_head``, for configs of 0.1.0."""

from .heads.trans2seg_head import Trans2SegHead

__all__ = ['Trans2SegHead']
