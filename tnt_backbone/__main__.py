"""``python -m tnt_backbone`` is the command ``tnt``."""

from .cli.tnt import main

main()
