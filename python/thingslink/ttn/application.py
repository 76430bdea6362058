"""What programs find under ``ttn.application``."""

from thingslink._native import ApplicationClient, _time_out_from

#: Seconds that each call may take; read when it begins. Deleting a device may take 60.
TIME_OUT = 30

__all__ = ["TIME_OUT", "ApplicationClient"]

_time_out_from(lambda: TIME_OUT)
