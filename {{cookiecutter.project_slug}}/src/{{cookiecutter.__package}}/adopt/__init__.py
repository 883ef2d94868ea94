"""`make adopt`: a table of one's own takes the example's place; conf/ says what was decided."""
