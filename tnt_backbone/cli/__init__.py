"""The commands, one file each; ``tools/*.py`` call them.

A command first reads its command line and checks that its files exist. Only then does it import
torch and the libraries. So ``--help``, a wrong option and a missing file are answered at once.
"""

from ..run.operators import replace_missing_operators

replace_missing_operators()
