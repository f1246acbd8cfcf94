"""Old name of ``tnt_backbone.engine.peak_memory``, for configs of 0.1.0."""

from ..engine.peak_memory import PeakMemoryHook

__all__ = ['PeakMemoryHook']
