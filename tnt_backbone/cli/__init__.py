"""The commands, one file each; ``tools/*.py`` call them.

A command reads its command line and looks for its files first, and imports torch and the libraries
only then: ``--help``, a wrong option and a missing file are answered at once.
"""
