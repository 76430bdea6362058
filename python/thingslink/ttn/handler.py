"""What programs find under ``ttn.handler``."""

from thingslink._native import HandlerClient

__all__ = ["HandlerClient"]
