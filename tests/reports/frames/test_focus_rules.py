"""Rules of the specification's columns, over whole files: what no single row shows."""

import csv
import json
import re
from decimal import Decimal

import pytest

MANDATORY = """BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodEnd
    BillingPeriodStart ChargeCategory ChargeClass ChargeDescription ChargePeriodEnd ChargePeriodStart
    ContractedCost EffectiveCost InvoiceIssuerName ListCost PricingQuantity PricingUnit ServiceCategory
    ServiceName""".split()
OF_VERSION = {
    "1.2": ["ProviderName", "PublisherName"],
    "1.3": ["ProviderName", "PublisherName", "ServiceProviderName", "HostProviderName"],
    "1.4": ["ServiceProviderName", "HostProviderName"],
}
MAY_BE_NULL = {"ChargeClass"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
NUMBER = re.compile(r"-?\d+(\.\d+)?")


@pytest.fixture(params=sorted(OF_VERSION))
def charges(request, files):
    with open(files["focus", request.param], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    return request.param, rows


def test_mandatory_columns_are_there_and_have_values(charges):
    version, rows = charges
    for name in MANDATORY + OF_VERSION[version]:
        assert name in rows[0], name
        if name not in MAY_BE_NULL:
            assert all(row[name] for row in rows), name
    for name in {name for names in OF_VERSION.values() for name in names} - set(OF_VERSION[version]):
        assert name not in rows[0], name
    for name in rows[0]:
        assert re.fullmatch(r"(x_)?[A-Z][A-Za-z]{0,49}", name), name


def test_values_are_written_as_the_specification_wants(charges):
    _, rows = charges
    for row in rows:
        for name, value in row.items():
            if name.endswith(("PeriodStart", "PeriodEnd")):
                assert TIME.fullmatch(value), (name, value)
            elif value and name.endswith(("Cost", "Quantity", "UnitPrice")):
                assert NUMBER.fullmatch(value), (name, value)
        assert re.fullmatch("[A-Z]{3}", row["BillingCurrency"])
        assert row["ChargeCategory"] == "Usage" and row["ChargeFrequency"] == "Usage-Based"
        assert row["ServiceCategory"] == "AI and Machine Learning"
        assert row["PricingUnit"] in ("1000000 Tokens", "Images")
        tags = json.loads(row["Tags"])
        assert all(key.startswith("tollgate:") and isinstance(tags[key], str) for key in tags)


def test_price_times_quantity_is_the_cost(charges):
    _, rows = charges
    for row in rows:
        quantity = Decimal(row["PricingQuantity"])
        for price, cost in [
            ("ListUnitPrice", "ListCost"),
            ("ContractedUnitPrice", "ContractedCost"),
            ("PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost"),
        ]:
            assert abs(Decimal(row[price]) * quantity - Decimal(row[cost])) < Decimal("1e-15")
        assert row["BilledCost"] == row["EffectiveCost"]


def test_ids_have_one_parent_and_one_name(charges):
    _, rows = charges
    for child, parent in [
        ("SkuPriceId", "SkuId"),
        ("SkuId", "SkuMeter"),
        ("SubAccountId", "SubAccountName"),
        ("ServiceName", "ServiceCategory"),
        ("ResourceId", "ResourceType"),
    ]:
        parents = {}
        for row in rows:
            assert bool(row[child]) == bool(row[parent])
            assert parents.setdefault(row[child], row[parent]) == row[parent], child


def test_charge_periods_lie_in_billing_periods_of_months(charges):
    _, rows = charges
    for row in rows:
        start, end = row["BillingPeriodStart"], row["BillingPeriodEnd"]
        assert start <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= end


def test_no_charge_stands_twice(charges):
    _, rows = charges
    keys = ["ChargePeriodStart", "SubAccountId", "ResourceId", "SkuPriceId", "Tags", "x_PriceId"]
    keys.append("BillingCurrency")
    seen = [tuple(row[key] for key in keys) for row in rows]
    assert len(seen) == len(set(seen))
