"""The command in ``tnt_backbone/cli/new_config.py``."""

from tnt_backbone.cli.new_config import main

if __name__ == '__main__':
    main()
