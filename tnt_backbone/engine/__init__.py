"""Between a command line and mmengine's Runner: checks, weights, AMP, processes on a CPU.

Importing it registers ``CpuAmpOptimWrapper`` and ``LoadImageOrSkip`` with mmengine. The tools
(``tools/train.py``, ``tools/test.py``) call the modules directly.
"""

from .amp import CpuAmpOptimWrapper
from .images import LoadImageOrSkip

__all__ = ['CpuAmpOptimWrapper', 'LoadImageOrSkip']
