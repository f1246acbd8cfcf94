"""The command in ``tnt_backbone/cli/convert_checkpoint.py``."""

from tnt_backbone.cli.convert_checkpoint import main

if __name__ == '__main__':
    main()
