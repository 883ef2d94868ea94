"""The stages of dvc.yaml, one module each and named after it."""
