"""Inside a trained network: attention, features, heat maps and vectors."""
