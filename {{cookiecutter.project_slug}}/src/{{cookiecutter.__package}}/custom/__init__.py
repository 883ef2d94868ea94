"""What this project adds: feature functions, estimators, metrics, gate rules, sources, stages.

`conf/` names them by their import path; docs/extending.md shows one of each.
"""
