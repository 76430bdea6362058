"""The exceptions of this library."""

class ThingsError(RuntimeError):
    """Base of the errors of this library."""

class NotConnectedError(ThingsError):
    """There is no session; nothing was queued."""

class LoginRefusedError(ThingsError, ConnectionError):
    """The server refused the login.

    Attributes:
        code: MQTT 3.1.1 CONNACK return code, 1-255; 4 and 5 mean a wrong ID or key.
    """

    code: int

class ConnectionLostError(ThingsError, ConnectionError):
    """A connection ended, or the server broke the protocol."""

class TlsError(ThingsError, ConnectionError):
    """The TLS handshake failed, or a certificate cannot be used."""

class ThingsTimeoutError(ThingsError, TimeoutError):
    """Something did not happen in time."""

class SubscriptionRefusedError(ThingsError):
    """The server refused a subscription; its messages will not arrive."""

class QueueFullError(ThingsError):
    """The bounded queue of unsent messages has no room."""

class DecodeError(ThingsError, ValueError):
    """A message or a payload cannot be decoded."""

class SandboxError(ThingsError):
    """The sandbox cannot do what was asked."""

class MessageTooLargeError(ThingsError, ValueError):
    """A message is larger than a limit."""

class DownlinkError(ThingsError):
    """A downlink does not come as far as it should.

    Attributes:
        mid: Its message ID.
        dev_id: Its device; None where that is not known.
        state: The state that it is in, such as "failed" or "unconfirmed".
    """

    mid: int
    dev_id: str | None
    state: str

class StreamError(ThingsError):
    """A stream of NATS JetStream cannot be had, or does not do what was asked."""
