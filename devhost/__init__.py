"""A local Azure Functions host, for development and tests.

`python -m devhost start` hosts any Python app of the v2 programming model without Azure and without the Core
Tools. Three parts that already exist do the work: Microsoft's worker library (`azure_functions_runtime`)
indexes and invokes the functions, Microsoft's in-memory task hub (`durabletask.testing`) keeps the
orchestrations, and aiohttp serves HTTP. This package is what joins them:

    HTTP request -> front -----------------------> pool -> worker process -> the app's function
                      |                             ^           |
                      +-> management ----> hub <-> dispatcher   |  durable client (gRPC)
                                            ^-------------------+

The front door, the hub and the dispatcher live in the host process, on one event loop; functions run in
worker processes of their own. A worker that dies takes no orchestration with it: the turns that it held are
handed out again. Activities and entity operations that it held fail, as they do in Azure.

Nothing here survives the host: the task hub is in memory. In Azure the Durable Functions extension keeps it
in storage, and scales out.
"""
