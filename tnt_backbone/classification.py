"""Old name of ``tnt_backbone.datasets.inaturalist``, for configs of 0.1.0."""

from .datasets.inaturalist import INaturalist

__all__ = ['INaturalist']
