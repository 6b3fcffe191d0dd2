"""The app on this machine: the storage emulator, the local Functions host, and a backup in one command.

`python -m localstack start` keeps both running in the foreground; `python -m localstack backup ROOT` starts
them, runs one backup through the app's HTTP endpoint and stops them again. `restore` gives a backup's tree
back, `list` and `get` read the blobs that it left; these need the storage alone.

    environment -> settings -> stack (azurite, then host) -> client -> status documents -> progress, exit code

Everything that runs is a child process that cannot outlive this one (`child`), is started only after the one
it needs answers, and is stopped in the opposite order. The end-to-end tests start their stacks through the
same classes. For development only: `.funcignore` keeps this package out of Azure.
"""
