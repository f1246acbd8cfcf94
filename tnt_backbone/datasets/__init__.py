"""Data sets and image loading that a config names.

A config imports the file that it needs: ``tnt_backbone.datasets.inaturalist`` needs MMPretrain.
"""
