"""Gives this library's ``ttn`` in its place."""

from thingslink import _lead, install_as

_lead.follow()
install_as()
