"""Old name of ``tnt_backbone.heads.max_pooling``, for configs of 0.1.0."""

from ..heads.max_pooling import GlobalMaxPooling

__all__ = ['GlobalMaxPooling']
