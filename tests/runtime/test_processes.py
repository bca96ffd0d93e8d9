"""Launching workers: what they know, how they end together, and that none is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time

import pytest
from launch_processes import SOON, becomes, ended, pids, runs
from mostly_slow import mostly_slow

from darts_tf.runtime import processes

LAUNCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it,
signal.signal(signal.SIGHUP, signal.SIG_DFL)              # and those after nohup this
from darts_tf.runtime.processes import launch
code, workers, grace = sys.argv[1:]
outcome = launch([sys.executable, "-c", code], int(workers), "logs", grace=float(grace))
print(outcome)
sys.exit(outcome.status)
"""


@pytest.fixture
def launched(started):
    """Starts a launch: code of the workers, how many, and seconds of grace."""
    return lambda code, workers=3, grace=SOON: started(LAUNCH, code, workers, grace)


# What workers know


def test_every_worker_knows_the_cluster_and_its_place(launched, tmp_path):
    status, out, err = ended(launched("print(os.environ['TF_CONFIG'])"))
    logs = [(tmp_path / "logs" / f"worker-{rank}.log").read_text() for rank in (1, 2)]
    known = [json.loads(text) for text in (out.splitlines()[0], *logs)]
    assert (status, err) == (0, "")
    assert [config["task"] for config in known] == [
        {"type": "worker", "index": rank} for rank in range(3)
    ]
    cluster = known[0]["cluster"]
    assert all(config["cluster"] == cluster for config in known)
    hosts, ports = zip(*(address.split(":") for address in cluster["worker"]), strict=True)
    assert set(hosts) == {"127.0.0.1"}
    assert len(set(ports)) == 3


def test_ports_are_free_and_differ(monkeypatch):
    assert len(set(processes.free_ports(50))) == 50
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(processes, "PORTS", range(port, port + 1))
        with pytest.raises(OSError, match="only 0 of 1 ports are free"):
            processes.free_ports(1)
    assert processes.free_ports(1) == [port]


def test_ports_lie_below_those_of_outgoing_connections():
    assert max(processes.PORTS) < 32_768


def test_worker_reads_no_input(launched):
    assert ended(launched("sys.exit(len(sys.stdin.read()))"))[0] == 0


# Where output goes


def test_first_worker_writes_here_and_the_others_into_logs(launched, tmp_path):
    (tmp_path / "logs" / "worker-1.log").write_text("of an earlier launch")
    code = "print('out of', rank); sys.stdout.flush(); print('err of', rank, file=sys.stderr)"
    status, out, err = ended(launched(code))
    assert (status, out.splitlines()[0], err) == (0, "out of 0", "err of 0\n")
    for rank in (1, 2):
        log = (tmp_path / "logs" / f"worker-{rank}.log").read_text()
        assert log == f"out of {rank}\nerr of {rank}\n"
    assert sorted(os.listdir(tmp_path / "logs")) == ["worker-1.log", "worker-2.log"]


def test_output_comes_while_the_worker_runs(launched, tmp_path):
    process = launched("print('now'); obedient(0)")
    pids(tmp_path)
    assert process.stdout.readline() == "now\n"
    assert (tmp_path / "logs" / "worker-1.log").read_text() == "now\n"
    assert process.poll() is None


# How they end


@pytest.mark.parametrize(
    ("code", "status", "worker"),
    [
        ("", 0, None),
        ("sys.exit(3 if rank == 1 else 0)", 3, 1),
        ("sys.exit(3) if rank == 2 else obedient(5)", 3, 2),
        ("os.kill(os.getpid(), signal.SIGKILL) if rank == 0 else obedient(0)", 137, 0),
        ("raise ValueError if rank == 1 else SystemExit", 1, 1),
    ],
)
def test_status_is_that_of_the_first_worker_that_fails(launched, code, status, worker):
    returned, out, _ = ended(launched(code))
    assert returned == status
    assert f"Outcome(status={status}, worker={worker}, " in out


def test_failing_worker_stops_the_others(launched, tmp_path):
    code = """
if rank == 1:
    while not os.path.exists("ready-0") or not os.path.exists("ready-2"):
        time.sleep(0.01)
    sys.exit(7)
obedient(0)
"""
    status, out, _ = ended(launched(code))
    assert (status, out.splitlines()[0]) == (7, f"told {signal.SIGTERM}")
    assert (tmp_path / "logs" / "worker-2.log").read_text() == f"told {signal.SIGTERM}\n"


def test_worker_that_does_not_stop_is_killed_after_the_grace(launched, tmp_path):
    process = launched("deaf() if rank != 1 else time.sleep(0.5); sys.exit(7)", grace=0.5)
    assert ended(process)[0] == 7
    for rank in (0, 2):
        assert not runs(int((tmp_path / f"ready-{rank}").read_text()))


def test_child_that_a_worker_leaves_is_killed(launched, tmp_path):
    code = """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path("child").write_text(str(child.pid))
os._exit(0)
"""
    assert ended(launched(code, 1))[0] == 0
    pid = int((tmp_path / "child").read_text())
    assert becomes(lambda: not runs(pid))


def test_program_that_is_not_there_is_an_error(started):
    program = "from darts_tf.runtime.processes import launch; launch(['./nothing'], 2, 'logs')"
    status, _, err = ended(started(program, ""))
    assert (status, err.splitlines()[-1].split(":")[0]) == (1, "FileNotFoundError")


# Signals


@mostly_slow(1, ("number", "told"), processes.PASSED_ON.items())
def test_signal_reaches_every_worker_and_is_waited_for(launched, tmp_path, number, told):
    process = launched("obedient(40, after=0.5 * rank)", grace=0.1)
    pids(tmp_path)
    process.send_signal(number)
    status, out, _ = ended(process)
    assert (status, out.splitlines()[0]) == (40, f"told {int(told)}")
    for rank in (1, 2):
        assert (tmp_path / "logs" / f"worker-{rank}.log").read_text() == f"told {int(told)}\n"


def test_signal_that_was_ignored_before_stays_so(started, tmp_path):
    ignoring = LAUNCH.replace("signal.default_int_handler", "signal.SIG_IGN")
    process = started(ignoring, "ready(); time.sleep(1)", 2, SOON)
    pids(tmp_path, 2)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 0


def test_ctrl_c_reaches_a_worker_once(launched, tmp_path):
    """The terminal sends it to the whole group of processes: launch must be alone in its own."""
    process = launched("obedient(0)")
    groups = {os.getpgid(pid) for pid in pids(tmp_path)}
    assert len(groups) == 3
    assert os.getpgid(process.pid) not in groups


def test_second_ctrl_c_kills(launched, tmp_path):
    process = launched("deaf()")
    left = pids(tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 128 + signal.SIGKILL
    assert not any(map(runs, left))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_no_worker_outlives_a_launch_that_is_killed(launched, tmp_path):
    process = launched("deaf()")
    left = pids(tmp_path)
    assert all(map(runs, left))
    process.kill()
    assert becomes(lambda: not any(map(runs, left)))
