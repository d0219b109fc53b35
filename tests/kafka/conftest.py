"""What a run may ask for."""

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--outage",
        type=float,
        default=5,
        metavar="SECONDS",
        help="how long brokers stay down under load [default: 5, in which several tries fail]",
    )


@pytest.fixture
def outage(request):
    return request.config.getoption("--outage")
