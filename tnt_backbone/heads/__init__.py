"""Heads and necks that the libraries do not have and that a config names.

A config imports the file that it needs: ``tnt_backbone.heads.trans2seg_head`` needs MMSegmentation.
"""
