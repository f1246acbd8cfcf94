"""The command in ``tnt_backbone/cli/test.py``."""

from tnt_backbone.cli.test import main

if __name__ == '__main__':
    main()
