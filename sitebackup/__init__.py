"""What the app does, free of how it is hosted.

Nothing in here imports Azure Functions: the blueprints register it with the Functions host, and anything
else that speaks `durabletask` can register it too.
"""
