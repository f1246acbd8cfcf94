"""The command in ``tnt_backbone/cli/check_data.py``."""

from tnt_backbone.cli.check_data import main

if __name__ == '__main__':
    main()
