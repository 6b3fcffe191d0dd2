"""The project's app, measured (`benchmarks.measured`), registered as in its own `function_app`."""

import azure.durable_functions as df

from benchmarks import measured

measured.install()

from blueprints import backup, starter  # noqa: E402 - they register what is there when they are imported

app = df.DFApp()
app.register_functions(starter.blueprint)
app.register_functions(backup.blueprint)
