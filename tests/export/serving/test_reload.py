"""New versions under load: no request is dropped or answered wrongly."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import json
import shutil
import signal
import threading
import weakref

import pytest
from load_generator import Load
from servers import WAIT, becomes, drawn, logits_of, serving, write_version

from darts_tf.export.serving.models import Model

IMAGES = drawn(2)
BODY = {"instances": IMAGES.tolist()}


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """A folder with versions 1 to 3 to publish, which differ by their shifts."""
    base = tmp_path_factory.mktemp("versions")
    for version in (1, 2, 3):
        write_version(base, version, shift=float(version))
    return base


@pytest.fixture
def base(tmp_path, versions):
    """A model with only version 1."""
    base = tmp_path / "saved_model" / "model"
    publish(versions, base, 1)
    return base


def publish(versions, base, version, as_version=None, damage=None):
    """Publishes a version as an export does: copies it and renames the copy."""
    shutil.copytree(versions / str(version), base / ".new")
    for name, content in (damage or {}).items():
        (base / ".new" / name).write_bytes(content)
    (base / ".new").rename(base / str(as_version or version))


def states(server):
    status, answer = server.get("/v1/models/model")
    assert status == 200
    return {int(v["version"]): v["state"] for v in answer["model_version_status"]}


def shift_of(server):
    """Returns the version that answers, by its probabilities."""
    status, answer = server.post("/v1/models/model:predict", BODY)
    assert status == 200, answer
    logits = [row["logits"] for row in answer["predictions"]]
    difference = logits - logits_of(IMAGES)
    return round(float(difference[0, 1]), 3)


def test_newest_whole_version_is_served(base, versions):
    with serving(base) as server:
        assert shift_of(server) == 1
        publish(versions, base, 2)
        assert becomes(lambda: states(server) == {2: "AVAILABLE", 1: "END"})
        assert shift_of(server) == 2
        assert server.post("/v1/models/model/versions/1:predict", BODY)[0] == 404
        # incomplete, damaged and foreign folders change nothing
        (base / "9").mkdir()
        (base / "new").mkdir()
        garbage = {"saved_model.pb": b"\xff" * 100}
        publish(versions, base, 3, as_version=7, damage=garbage)
        publish(versions, base, 3, as_version=8, damage={"variables/variables.index": b""})
        assert becomes(lambda: {7, 8} <= set(states(server)))
        assert becomes(lambda: "LOADING" not in states(server).values())
        assert states(server) == {8: "END", 7: "END", 2: "AVAILABLE", 1: "END"}
        assert server.said("version 8 cannot be loaded")
        assert server.said("version 2 stays")
        assert shift_of(server) == 2
        # a newer one, which is removed again
        for name in ("7", "8"):
            shutil.rmtree(base / name)
        publish(versions, base, 3)
        assert becomes(lambda: states(server).get(3) == "AVAILABLE")
        assert shift_of(server) == 3
        shutil.rmtree(base / "3")
        assert becomes(lambda: states(server)[2] == "AVAILABLE")
        assert shift_of(server) == 2
        for name in ("1", "2"):
            shutil.rmtree(base / name)
        assert shift_of(server) == 2
        assert sum("version 8 cannot" in line for line in server.lines) == 1
        assert server.stop() == (0, "")


def test_version_that_is_replaced_is_kept_while_it_is_used_and_then_gone(base, versions):
    async def run():
        model = Model("model", base, 10**6, lambda line: None)
        await model.refresh()
        with model.used(1) as servable:
            old = weakref.ref(servable)
            del servable
            publish(versions, base, 2)
            await model.refresh()
            await asyncio.sleep(0.05)
            states = {version: status.state for version, status in model.statuses.items()}
            assert states == {1: "UNLOADING", 2: "AVAILABLE"}
            gc.collect()
            assert old() is not None
            with model.used(None) as newest:
                assert newest.version == 2
        await asyncio.sleep(0.05)
        assert model.statuses[1].state == "END"
        assert old() is None

    asyncio.run(run())


def test_what_is_in_flight_is_finished_when_the_server_ends(base):
    """SIGTERM comes while requests wait for one second to be batched with others."""
    with serving(base, "--batch-timeout-ms", "1000") as server:
        kept = http.client.HTTPConnection(server.rest.removeprefix("http://"), timeout=WAIT)
        kept.request("GET", "/v1/models/model")
        with kept.getresponse() as answer:
            assert answer.read()
            assert answer.headers["Connection"] is None
        kept.request("POST", "/v1/models/model:predict", json.dumps(BODY))
        found = []
        threads = [
            threading.Thread(
                target=lambda: found.append(server.post("/v1/models/model:predict", BODY))
            )
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        threading.Event().wait(0.4)
        assert not found
        assert server.stop(signal.SIGTERM) == (0, "")
        for thread in threads:
            thread.join(WAIT)
        with contextlib.closing(kept), kept.getresponse() as answer:
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
            assert answer.read()
    assert [status for status, _ in found] == [200] * 3


def loaded(base, versions, *, clients, bad_one_in, run):
    """Runs a server under load, which has a new version in the middle; returns the clients.

    `run(load, version)` waits while the clients ask for that version.
    """
    with serving(base) as server:
        shifts = {1: 1.0, 2: 2.0}
        with Load(server, shifts, clients, bad_one_in) as load:
            run(load, 1)
            publish(versions, base, 2)
            run(load, 2)
            assert becomes(lambda: states(server) == {2: "AVAILABLE", 1: "END"})
            load.go_on(0.2)
        assert server.stop() == (0, "")
        assert not any("error" in line for line in server.lines)
    right = {"right", "right by 1", "right by 2", "refused"}
    assert set(load.counts) == right, load.counts
    return load


def test_no_request_is_dropped_when_a_version_replaces_another(base, versions):
    def run(load, version):
        wanted = {f"right by {version}": 20, "right": 20 * version, "refused": version}
        assert becomes(lambda: all(load.counts[name] > n for name, n in wanted.items()))

    loaded(base, versions, clients=8, bad_one_in=20, run=run)


@pytest.mark.slow
def test_many_clients_for_a_minute(base, versions):
    """32 clients, a new version in the middle, one request in a hundred malformed."""

    def run(load, version):
        load.go_on(30)

    load = loaded(base, versions, clients=32, bad_one_in=100, run=run)
    total = sum(load.counts.values())
    latencies = sorted(load.latencies)
    third = len(load.memory) // 3
    first, last = max(load.memory[third // 2 : third]), max(load.memory[-third:])
    print(
        json.dumps(
            {
                **{"counts": dict(load.counts), "requests_per_second": total / 60},
                "p50_ms": 1e3 * latencies[total // 2],
                "p99_ms": 1e3 * latencies[total * 99 // 100],
                **{"memory_mb_early": first, "memory_mb_late": last},
            }
        )
    )
    assert total > 1000
    assert last < first + 64  # two versions of a tiny model, and slack of the allocators
