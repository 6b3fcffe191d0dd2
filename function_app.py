"""The function app: registrations, nothing else."""

import azure.durable_functions as df

from blueprints import backup, starter

app = df.DFApp()
app.register_functions(starter.blueprint)
app.register_functions(backup.blueprint)
