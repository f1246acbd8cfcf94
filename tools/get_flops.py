"""The command in ``tnt_backbone/cli/get_flops.py``."""

from tnt_backbone.cli.get_flops import main

if __name__ == '__main__':
    main()
