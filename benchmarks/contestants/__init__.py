"""The peers of the prediction service; each runs in an environment of its own."""
