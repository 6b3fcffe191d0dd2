"""What Azure sees: triggers and bindings, one module a concern, no logic."""
