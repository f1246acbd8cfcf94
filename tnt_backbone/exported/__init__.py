"""Models as files that predict without torch.

Only ``export.py``, ``networks.py``, ``detector_networks.py`` and ``parity.py`` need torch.
"""
