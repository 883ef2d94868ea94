"""From raw data to a served, watched and retrained model."""
