"""The example: flights from New York in 2013. Nothing outside this folder knows about flights."""
