"""Gives this library's ``tb_gateway_mqtt`` in its place."""

from thingslink import _lead, install_as

_lead.follow()
install_as()
