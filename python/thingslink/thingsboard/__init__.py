"""What `tb_device_mqtt` and `tb_gateway_mqtt` have in common and is written in Python."""
