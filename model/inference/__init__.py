"""The network, ready to run: one predictor a runtime (torch, OpenVINO, GPU), and the choice between them."""
