"""The SiamFC tracker: network, geometry, training and evaluation. No web, no sessions.

Import from the submodules (`from model.tracker import start`); this file imports nothing, so that
`model.boxes` costs no torch.
"""
