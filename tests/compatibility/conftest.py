"""The sweep's own options."""


def pytest_addoption(parser):
    group = parser.getgroup('sweep')
    group.addoption(
        '--all', dest='all_configs', action='store_true', help='every config, not one a folder'
    )
    group.addoption('--again', action='store_true', help='run what outcomes.csv has already, too')
