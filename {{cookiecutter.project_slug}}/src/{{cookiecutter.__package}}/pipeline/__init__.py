"""The stages of dvc.yaml, one module each, in the order compose, ingest, validate, split, train, evaluate."""
