"""What programs find under ``ttn.discovery``."""

from thingslink._native import DiscoveryClient

__all__ = ["DiscoveryClient"]
