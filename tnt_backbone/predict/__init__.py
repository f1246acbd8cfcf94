"""From a checkpoint and pictures to predictions: ``tnt_backbone.load_model``, ``tnt predict``."""
