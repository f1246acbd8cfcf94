"""The sweep's own option."""


def pytest_addoption(parser):
    parser.addoption(
        '--all',
        dest='all_configs',
        action='store_true',
        help='sweep: every config with a ResNet, not one a folder',
    )
