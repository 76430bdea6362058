"""Gives this library's ``ttnmqtt`` in its place."""

from thingslink import _lead, install_as

_lead.follow()
install_as()
