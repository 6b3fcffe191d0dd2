"""An in-memory task hub with the manners of the Durable Functions extension.

Microsoft's in-memory backend with its gaps closed, in four layers: `runs` (how an orchestration lives),
`entities` (what is asked of them, and their locks), `workqueue` (what work there is, and what its results
mean), `hub` (what clients may ask). It hosts nothing: the local Functions host and the Durable Task SDK's
local hub both hand out its work.
"""
