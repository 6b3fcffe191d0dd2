"""The app on the Durable Task SDK, without Azure Functions.

The same orchestrations and activities, from the same table (`sitebackup.registry`), in plain processes:

    backup (client) --schedules, asks--> task hub <--turns, activities--> worker, worker, ... --> storage

The task hub keeps the orchestrations and hands out the work. It is the Durable Task Scheduler, or its
emulator, that `DURABLE_TASK_SCHEDULER_CONNECTION_STRING` names: then any number of machines run workers. With
nothing named it is a hub in the memory of the process, for development: `python -m durable_sdk backup ROOT`
then needs nothing but storage.

    connection.py   connection string -> task hub: makes workers and clients
    hub.py          the task hub in memory
    worker.py       registers and runs what sitebackup defines
    backup.py       starts one backup and follows it
"""
