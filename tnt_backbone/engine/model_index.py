"""Old name of ``tnt_backbone.run.model_index``, for programs of 0.1.0."""

from ..run.model_index import register_model_index

__all__ = ['register_model_index']
