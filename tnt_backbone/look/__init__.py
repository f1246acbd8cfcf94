"""Inside a trained network: attention, features, heat maps, vectors; ``tnt look``, ``tnt embed``."""
