"""Where trackers run in these tests: a fake server, and a small network in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model.checkpoints import Weights
from model.config import Preprocessing
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from siamfc.backends import Backend, OnServer
from siamfc.client import Client
from siamfc.in_process import InProcess
from tests.support.fake_server import FakeServer
from tests.support.networks import TINY, random_network


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer().running() as server:
        yield server


@pytest.fixture
def tiny_predictor() -> Predictor:
    weights = Weights(random_network(TINY), Preprocessing(mean=114.0, std=58.0))
    return load_predictor(weights, device="cpu", precision="fp32")


@pytest.fixture
def in_process(tiny_predictor: Predictor) -> Backend:
    return InProcess(tiny_predictor)


@pytest.fixture
def on_server(server: FakeServer) -> Iterator[Backend]:
    backend = OnServer(Client(server.url))
    yield backend
    backend.close()
