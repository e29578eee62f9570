"""The network compiled by OpenVINO for the CPU at hand (the extra `openvino`)."""
