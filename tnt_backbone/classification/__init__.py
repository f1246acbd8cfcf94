"""Data sets that MMPretrain lacks.

Importing it needs MMPretrain, so nothing else in the package does; a config asks for it with
``custom_imports=dict(imports=['tnt_backbone', 'tnt_backbone.classification'])``.
"""

from .inaturalist import INaturalist

__all__ = ['INaturalist']
