"""What the logged traffic looks like beside the training data, and how good the answers were."""
