"""The exceptions of the ThingsBoard clients."""


class TBTimeoutException(Exception):  # noqa: N818 - the original's name
    """A request was not answered in time."""


class TBQoSException(Exception):  # noqa: N818 - the original's name
    """A level of delivery that is neither 0 nor 1."""


for _exception in (TBTimeoutException, TBQoSException):
    _exception.__module__ = "thingslink.tb_device_mqtt"
