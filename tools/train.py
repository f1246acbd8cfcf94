"""The command in ``tnt_backbone/cli/train.py``."""

from tnt_backbone.cli.train import main

if __name__ == '__main__':
    main()
