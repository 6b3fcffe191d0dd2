"""The activities' bodies: the only code that touches the disk and storage; one module a step.

Each takes the activity's input and the process's `Engine`, and returns what goes into the history: counts
and references, never a file's name, except the first ten of what went wrong. Activities run at least once,
sometimes twice at the same time. Trouble that may pass is raised, for the retry policy to see. Trouble that
cannot pass, a `FatalError`, is returned as `{"errors": [...]}` to an orchestration, because a durable retry
policy would retry any exception.
"""
