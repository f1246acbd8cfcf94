"""Models as files that predict without torch.

What exports needs torch: ``export.py``, ``sizes.py``, ``networks.py``, ``detector_networks.py``,
``integer.py``, ``parity.py`` and ``accuracy.py``.
"""
