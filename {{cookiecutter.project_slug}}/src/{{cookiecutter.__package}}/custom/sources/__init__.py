"""Sources of this project's own, named in `conf/data/`; a change here fetches the data again."""
