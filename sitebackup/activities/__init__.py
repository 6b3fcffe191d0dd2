"""The activities' bodies: the only code that touches the disk and storage; one module a step.

Each takes the activity's input and the process's `Engine`, and returns what goes into the history: counts
and references, never a file's name, except the first ten of what went wrong. Activities run at least once,
sometimes twice at the same time. A body raises what it cannot deal with: an `UnavailableError` may pass, any
other `BackupError` cannot. `running` turns both into an answer, because a durable retry policy would retry
any exception.
"""
