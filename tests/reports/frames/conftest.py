"""Reports of a gateway's ledger, in files."""

import os
import subprocess

import pytest

TOLLGATE = os.environ["TOLLGATE_BIN"]
CONFIG = os.environ["TOLLGATE_CONFIG"]
BY = ["day", "subscription", "application", "model"]


def usage(*arguments):
    command = [TOLLGATE, "usage", "--config", CONFIG, *arguments]
    subprocess.run(command, check=True)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """By format, the same rows each; and FOCUS charges."""
    folder = tmp_path_factory.mktemp("reports")
    made = {}
    for form in ["csv", "json", "parquet"]:
        made[form] = folder / f"usage.{form}"
        usage("--by", ",".join(BY), "--format", form, "--output", str(made[form]))
    for version in ["1.2", "1.3", "1.4"]:
        for form, ending in [("focus", "csv"), ("focus-parquet", "parquet")]:
            made[form, version] = folder / f"focus-{version}.{ending}"
            usage("--format", form, "--focus-version", version, "--output", str(made[form, version]))
    return made
