"""From a checkpoint and pictures to predictions."""

from .model import TrainedModel, load_model
from .results import Classification, Detection, Segmentation

__all__ = ['Classification', 'Detection', 'Segmentation', 'TrainedModel', 'load_model']
