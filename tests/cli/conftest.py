"""Models of new configs are looked at once, as in the tests of new configs."""

from tests.new_config.conftest import models_are_looked_at_once  # noqa: F401  (a fixture)
