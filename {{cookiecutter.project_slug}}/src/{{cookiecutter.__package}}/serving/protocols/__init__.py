"""The service in the words of other servers, so that their clients work unchanged."""
