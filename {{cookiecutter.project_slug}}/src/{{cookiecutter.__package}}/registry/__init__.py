"""From an evaluated model to the one that serves: tracking, gate, release, rollback, history."""
