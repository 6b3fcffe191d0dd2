"""What the activities of one process share: connections, threads, limits on work in flight."""
