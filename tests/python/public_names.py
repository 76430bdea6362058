"""The modules that programs import from, each with its names in `__all__`."""

PUBLIC = [
    "thingslink",
    "thingslink.aio",
    "thingslink.bridge",
    "thingslink.frame",
    "thingslink.sandbox",
    "thingslink.tb_device_http",
    "thingslink.tb_device_mqtt",
    "thingslink.tb_gateway_mqtt",
    "thingslink.testing",
    "thingslink.ttn",
    "thingslink.ttn.application",
    "thingslink.ttn.discovery",
    "thingslink.ttn.handler",
    "thingslink.ttn.ttnmqtt",
    "thingslink.ttnmqtt",
    "thingslink.typing",
]
