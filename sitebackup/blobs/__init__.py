"""The service: containers and their requests, how often one is tried, how a blob is called."""
