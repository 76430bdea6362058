"""Our modules under the names of the originals, for programs that cannot be edited."""

from __future__ import annotations

import importlib
import sys

from thingslink._json import write_messages_as_lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike

#: Original module name -> the module of ours that replaces it, with its submodules.
_REPLACEMENTS = {
    "ttn": ("thingslink.ttn", ("utils", "utils.stubs", "ttnmqtt", "application", "handler", "discovery")),
    "ttnmqtt": ("thingslink.ttnmqtt", ()),
    "tb_device_mqtt": ("thingslink.tb_device_mqtt", ()),
    "tb_gateway_mqtt": ("thingslink.tb_gateway_mqtt", ()),
    "tb_device_http": ("thingslink.tb_device_http", ()),
}
#: Those whose messages were named tuples.
_TUPLES = {"ttn", "ttnmqtt"}


def install_as(
    *names: str,
    discovery: str | None = None,
    mqtt: str | None = None,
    ca_file: str | bytes | PathLike[str] | None = None,
    sandbox: bool = False,
) -> None:
    """Make ``import <name>`` give this library's module of that name.

    Call it before the program imports the original; with the original imported already it stays in the hands of those
    who have it. Affects the whole process. With ``ttn`` or ``ttnmqtt``, ``json`` writes messages as it wrote the
    original's from then on: as lists, in which the names are lost.

    The keywords lead clients elsewhere that are given no address and so would look for the public network, which was
    switched off in 2021. What a program names itself holds, and so does an earlier call where this one says nothing.

    Args:
        names: Names of original packages: ``"ttn"``, ``"ttnmqtt"``, ``"tb_device_mqtt"``, ``"tb_gateway_mqtt"``,
            ``"tb_device_http"``. None means all of them.
        discovery: ``host:port`` of the discovery server to ask.
        mqtt: Address of the MQTT server to use, whatever discovery announces: ``host:port``, ``mqtts://host``, ….
        ca_file: Certificates to trust at both, where a program gives none: a path, PEM text or PEM bytes.
        sandbox: Lead to a sandbox in this process, which takes any application and access key.

    Raises:
        ValueError: A name that this library replaces nothing of, or a keyword that cannot be used.
    """
    wanted = names or tuple(_REPLACEMENTS)
    for name in wanted:
        if name not in _REPLACEMENTS:
            known = ", ".join(repr(known) for known in _REPLACEMENTS)
            raise ValueError(f"nothing to install as {name!r}: expected one of {known}")
    from thingslink._lead import lead  # noqa: PLC0415 - it would double the time that importing this library takes

    lead(discovery, mqtt, ca_file, sandbox=sandbox)
    for name in wanted:
        ours, submodules = _REPLACEMENTS[name]
        sys.modules[name] = importlib.import_module(ours)
        for submodule in submodules:
            sys.modules[f"{name}.{submodule}"] = importlib.import_module(f"{ours}.{submodule}")
    if _TUPLES.intersection(wanted):
        write_messages_as_lists()
