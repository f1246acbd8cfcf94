"""Memory that a training step frees, kept for the next step on a CPU.

glibc hands large pieces back to the system as soon as they are freed, and the system clears each
page when it is touched again: in every step for all activations, which costs a tenth of it
(docs/performance.md). GPUs need nothing of the kind: PyTorch's allocator keeps what was freed.
"""

import ctypes
import os

from mmengine.device import get_device

# Numbers of <malloc.h>, and the variables that set the same from outside.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
VARIABLES = ('MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_THRESHOLD_', 'GLIBC_TUNABLES')
NEVER = 2**31 - 1  # bytes, the largest that mallopt takes


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory where the CPU computes; the peak may grow by an eighth.

    Returns:
        Whether it does: not where there is a GPU, where a variable of glibc's says otherwise, or
        with a C library that has no such setting.
    """
    if get_device() != 'cpu' or any(name in os.environ for name in VARIABLES):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    # Older versions of glibc refuse so large an MMAP_THRESHOLD. Then TRIM_THRESHOLD stays unset,
    # because it stops the growth of the other: pieces over 128 KiB would be mapped anew each time.
    return mallopt is not None and all(
        mallopt(name, NEVER) for name in (MMAP_THRESHOLD, TRIM_THRESHOLD)
    )
