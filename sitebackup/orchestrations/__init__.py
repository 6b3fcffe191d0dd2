"""Which activity runs when: pure generators over counts and references."""
