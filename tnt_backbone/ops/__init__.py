"""Operations on tensors that are quicker or leaner than the modules they stand for."""

from .inner_block import BACKENDS, check_backend, choose_backend, inner_block
from .reference import InnerBlockParams

__all__ = ['BACKENDS', 'InnerBlockParams', 'check_backend', 'choose_backend', 'inner_block']
