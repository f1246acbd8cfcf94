"""Weights of all sources: found, downloaded, read, recognised, converted and loaded."""

from .load import load_pretrained
from .published import PUBLISHED, resolve_checkpoint

__all__ = ['PUBLISHED', 'load_pretrained', 'resolve_checkpoint']
