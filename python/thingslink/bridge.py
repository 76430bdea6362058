"""Work for more than one machine: carry an application's messages into a stream of NATS JetStream.

Workers share the stream: ``MQTTClient(app_id, key, "nats://host:4222", group="workers")``. On the command line it is
``thingslink bridge``.
"""

from thingslink._native import Bridge

__all__ = ["Bridge"]
