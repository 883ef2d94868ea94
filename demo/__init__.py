"""The whole life of a generated project, shown by `make demo` and asserted by the tests."""
