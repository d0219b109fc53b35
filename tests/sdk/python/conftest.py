"""Clients of the official SDK that differ from their defaults in base URL and key alone."""

import os
from dataclasses import dataclass

import openai
import pytest

BASE_URL = os.environ["TOLLGATE_BASE_URL"].rstrip("/")
KEY = os.environ["TOLLGATE_KEY"]
API_VERSION = os.environ.get("TOLLGATE_API_VERSION", "2024-10-21")
# Straight to a simulated provider: there is no gateway whose own headers and refusals could be checked.
PLAIN = os.environ.get("TOLLGATE_PLAIN") == "1"


@dataclass(frozen=True)
class Names:
    model: str = os.environ.get("TOLLGATE_MODEL", "gpt-4o")
    completion_model: str = os.environ.get("TOLLGATE_COMPLETION_MODEL", os.environ.get("TOLLGATE_MODEL", "gpt-4o"))
    embedding_model: str = os.environ.get("TOLLGATE_EMBEDDING_MODEL", "text-embedding-3-small")
    ungranted_model: str = os.environ.get("TOLLGATE_UNGRANTED_MODEL", "gpt-4.1")
    unknown_model: str = os.environ.get("TOLLGATE_UNKNOWN_MODEL", "unknown-model")


def make(profile: str, asynchronous: bool = False, key: str = KEY):
    """`openai` at /v1, `azure` at the dated deployment paths, `azure_v1` at Azure's /openai/v1."""
    if profile == "azure":
        kind = openai.AsyncAzureOpenAI if asynchronous else openai.AzureOpenAI
        return kind(azure_endpoint=BASE_URL, api_key=key, api_version=API_VERSION, max_retries=0)
    kind = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    path = "/v1" if profile == "openai" else "/openai/v1"
    return kind(base_url=BASE_URL + path, api_key=key, max_retries=0)


@pytest.fixture(params=["openai", "azure", "azure_v1"])
def profile(request):
    return request.param


@pytest.fixture
def client(profile):
    with make(profile) as client:
        yield client


@pytest.fixture
def names():
    return Names()


@pytest.fixture
def plain():
    return PLAIN
