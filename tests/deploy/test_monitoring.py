from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from streams.ingest.signature import Refusal

ROOT = Path(__file__).resolve().parents[2]
# What Prometheus itself adds to each series, and what it says of its own.
_SCRAPED = frozenset({"job", "instance"})
_OF_PROMETHEUS = {"up": frozenset(), "ALERTS": frozenset({"alertname", "alertstate", "severity"})}
_ALERT_TESTS = ("tests/deploy/alerts/minutes.yml", "tests/deploy/alerts/weeks.yml")
_SUFFIXES = {
    "Counter": ("_total",),
    "CounterMetricFamily": ("_total",),
    "Gauge": ("",),
    "GaugeMetricFamily": ("",),
    "Histogram": ("_bucket", "_sum", "_count"),
}


def _labels(call: ast.Call) -> frozenset[str]:
    places = [word.value for word in call.keywords if word.arg in {"labels", "labelnames"}] + call.args[2:3]
    return frozenset(itertools.chain.from_iterable(ast.literal_eval(place) for place in places))


@pytest.fixture(scope="module")
def declared() -> dict[str, frozenset[str]]:
    """The series that the code declares, and the labels of each."""
    found: dict[str, frozenset[str]] = {}
    for package in ("schemas", "streams", "sinks", "ringwatch"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                    continue
                name = node.args[0]
                if node.func.id not in _SUFFIXES or not (
                    isinstance(name, ast.Constant) and isinstance(name.value, str)
                ):
                    continue
                extra = {"le"} if node.func.id == "Histogram" else set()
                for suffix in _SUFFIXES[node.func.id]:
                    series = name.value + suffix
                    found[series] = found.get(series, frozenset()) | _labels(node) | extra
    assert len(found) > 15
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    for family in registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, frozenset(sample.labels))
    return found


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    """The dashboard."""
    read: dict[str, Any] = msgspec.json.decode((ROOT / "deploy/grafana/dashboards/ringwatch.json").read_bytes())
    return read


@pytest.fixture(scope="module")
def rules(read_yaml: Any) -> list[dict[str, Any]]:
    """The alert rules."""
    return [rule for group in read_yaml("deploy/alerts.yml")["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def expressions(dashboard: dict[str, Any], rules: list[dict[str, Any]]) -> list[str]:
    """Every query of the dashboard and of the rules, with Grafana's variable filled in."""
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    queries += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    queries += [rule["expr"] for rule in rules]
    return [query.replace("$__rate_interval", "1m") for query in queries]


def _selectors(parser: Any, node: Any) -> Iterator[Any]:
    """The selectors of series below a node of a parsed query."""
    if isinstance(node, parser.VectorSelector):
        yield node
        return
    children = [getattr(node, name, None) for name in ("lhs", "rhs", "expr", "param", "vector_selector")]
    for child in [*children, *getattr(node, "args", [])]:
        if child is not None:
            yield from _selectors(parser, child)


def _groupings(parser: Any, node: Any) -> Iterator[tuple[set[str], set[str]]]:
    """For each aggregation by labels: the labels, and the names of the series below it."""
    if isinstance(node, parser.AggregateExpr) and node.modifier is not None:
        assert "By" in str(node.modifier.type), (
            "aggregate by labels, not without them: a new label would change the sum"
        )
        yield set(node.modifier.labels), {selector.name for selector in _selectors(parser, node.expr)}
    children = [getattr(node, name, None) for name in ("lhs", "rhs", "expr", "param")]
    for child in [*children, *getattr(node, "args", [])]:
        if child is not None:
            yield from _groupings(parser, child)


def test_each_query_reads_what_the_code_declares(expressions: list[str], declared: dict[str, frozenset[str]]) -> None:
    """Dashboard and alerts use series and labels that ringwatch has, in PromQL that parses."""
    parser = pytest.importorskip("promql_parser", reason="promql-parser is not installed; it is in the group `test`")
    known = declared | _OF_PROMETHEUS
    used = set()
    for expression in expressions:
        tree = parser.parse(expression)
        for selector in _selectors(parser, tree):
            assert selector.name in known, f"{selector.name}: no such metric, in {expression}"
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert labels <= known[selector.name] | _SCRAPED, f"{labels} in {expression}"
            used.add(selector.name)
        for labels, names in _groupings(parser, tree):
            for name in names:
                assert labels <= known[name] | _SCRAPED, (
                    f"by {labels}: {name} has {sorted(known[name])}, in {expression}"
                )
    assert {"ringwatch_agents_lag_records", "ringwatch_gateway_seconds_bucket", "up"} <= used


def test_the_values_asked_for_are_some_that_are_given(expressions: list[str]) -> None:
    """Outcomes, reasons and jobs that queries pick out are ones that the gateway and Prometheus give."""
    text = (ROOT / "streams/ingest/gateway.py").read_text(encoding="utf-8")
    picked = {pair for query in expressions for pair in re.findall(r'(outcome|reason)="([^"]*)"', query)}
    assert picked
    for label, value in picked:
        assert value in (
            {reason.value for reason in Refusal} if label == "reason" else set(re.findall(r'"(\w+)"', text))
        )


def test_prometheus_asks_each_part(read_yaml: Any, compose: dict[str, Any], expressions: list[str]) -> None:
    """Each service with an HTTP server is asked once, with the token; its job is its command, which queries rely on."""
    config = read_yaml("deploy/prometheus.yml")
    asked = {
        target: job
        for job in config["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    served = {
        f"{name}:8080": service["command"][0]
        for name, service in compose["services"].items()
        if service["image"] == "ringwatch:local" and name != "topics"
    }
    assert {target: job["job_name"] for target, job in asked.items()} == served
    (secret,) = compose["services"]["prometheus"]["secrets"]
    for job in asked.values():
        assert job["authorization"] == {"credentials_file": f"/run/secrets/{secret['source']}"}
        assert job.get("metrics_path", "/metrics") == "/metrics"
    jobs = {
        name for query in expressions for value in re.findall(r'job=~?"([^"]*)"', query) for name in value.split("|")
    }
    assert jobs <= set(served.values())
    mounted = {volume.split(":")[1] for volume in compose["services"]["prometheus"]["volumes"]}
    assert {f"/etc/prometheus/{name}" for name in [*config["rule_files"], "prometheus.yml"]} <= mounted


def test_prometheus_takes_configuration_and_rules(run_tool: Any, tmp_path: Path) -> None:
    """Prometheus' own tool accepts the configuration and the rules."""
    (tmp_path / "api_token").write_text("a token", encoding="utf-8")
    text = (ROOT / "deploy/prometheus.yml").read_text(encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets", str(tmp_path)), encoding="utf-8")
    (tmp_path / "alerts.yml").write_bytes((ROOT / "deploy/alerts.yml").read_bytes())
    checked = run_tool("promtool", "check", "config", str(tmp_path / "prometheus.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_fire_when_they_should(run_tool: Any) -> None:
    """Prometheus' own tool finds each alert firing on the series given for it, and silent on those of a good day."""
    tested = run_tool("promtool", "test", "rules", *_ALERT_TESTS)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_alert_says_what_to_do(rules: list[dict[str, Any]], read_yaml: Any) -> None:
    """An alert has a severity, a summary, what to do, and a test that sees it fire."""
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
    fired = {
        case["alertname"]
        for path in _ALERT_TESTS
        for test in read_yaml(path)["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in rules}


def test_the_dashboard_is_sound(dashboard: dict[str, Any], read_yaml: Any) -> None:
    """Panels have ids and titles of their own, queries of the provisioned source, and places that do not overlap."""
    (source,) = read_yaml("deploy/grafana/provisioning/datasources/prometheus.yml")["datasources"]
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] >= 0, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert cells, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["targets"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for part in [panel, *panel["targets"]]:
            assert part["datasource"] == {"type": source["type"], "uid": source["uid"]}, panel["title"]


def test_grafana_finds_dashboard_and_source(dashboard: dict[str, Any], read_yaml: Any, compose: dict[str, Any]) -> None:
    """The provider's folder is the one mounted, and the source is Prometheus' service."""
    (provider,) = read_yaml("deploy/grafana/provisioning/dashboards/ringwatch.yml")["providers"]
    grafana = compose["services"]["grafana"]
    mounts = dict(volume.removesuffix(":ro").split(":") for volume in grafana["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert home.parent == Path(provider["options"]["path"])
    assert (ROOT / "deploy/grafana/dashboards" / home.name).is_file()
    (source,) = read_yaml("deploy/grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert dashboard["uid"]
