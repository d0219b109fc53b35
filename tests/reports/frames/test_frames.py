"""Reports open in the usual libraries, with types, and every format says the same."""

import csv
import json
from decimal import Decimal

import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

from conftest import BY


def csv_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_format_has_the_same_rows(files):
    from_csv = csv_rows(files["csv"])
    from_json = json.loads(files["json"].read_text(), parse_float=Decimal)
    from_parquet = pyarrow.parquet.read_table(files["parquet"]).to_pylist()
    assert from_csv and len(from_csv) == len(from_json) == len(from_parquet)
    for a, b, c in zip(from_csv, from_json, from_parquet):
        assert list(a) == list(b) == list(c)
        for name in a:
            values = [a[name] or None, b[name], c[name]]
            if name in BY or name == "currency":
                # An apostrophe keeps a spreadsheet from running a client's name.
                assert values[0] in (values[1] or None, f"'{values[1]}") and values[1] == values[2]
            elif values[0] is None:
                assert values == [None] * 3
            else:
                assert Decimal(values[0]) == values[1] == values[2], name


def test_parquet_has_types(files):
    schema = pyarrow.parquet.read_schema(files["parquet"])
    assert schema.field("subscription").type == pyarrow.string()
    assert schema.field("calls").type == pyarrow.int64()
    assert schema.field("cost").type == pyarrow.decimal128(38, 9)
    focus = pyarrow.parquet.read_schema(files["focus-parquet", "1.4"])
    assert focus.field("ChargePeriodStart").type == pyarrow.timestamp("ms", tz="UTC")


def test_pandas_and_polars_add_up_to_the_same(files):
    expected = sum(Decimal(row["cost"]) for row in csv_rows(files["csv"]))
    assert expected > 0
    assert pandas.read_parquet(files["parquet"])["cost"].sum() == expected
    assert polars.read_parquet(files["parquet"])["cost"].sum() == expected


@pytest.mark.parametrize("version", ["1.2", "1.3", "1.4"])
def test_focus_charges_are_worth_what_the_ledger_has(files, version):
    expected = {}
    for row in csv_rows(files["csv"]):
        cost = expected.get(row["subscription"], Decimal(0)) + Decimal(row["cost"])
        expected[row["subscription"]] = cost
    charges = polars.read_parquet(files["focus-parquet", version])
    teams = charges.group_by("SubAccountId").agg(polars.col("BilledCost").sum())
    billed = {row["SubAccountId"]: row["BilledCost"] for row in teams.to_dicts()}
    assert billed == {team: cost for team, cost in expected.items() if team in billed}
    assert sum(billed.values()) == sum(expected.values())
    frame = pandas.read_csv(files["focus", version])
    assert frame["BilledCost"].sum() == pytest.approx(float(sum(expected.values())))
