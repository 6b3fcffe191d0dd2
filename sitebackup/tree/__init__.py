"""The disk: walking a tree, selecting what of it is taken, reading it."""
