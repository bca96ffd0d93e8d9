"""What matters for a bug report: the installation, the machine, and whether TensorFlow works there.

Every line is a probe of its own. A broken installation is what this is for, so that TensorFlow, and
those modules of ours that need it, are imported inside the probes.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import metadata

import psutil

from darts_tf.errors import InputError, first_line, gigabytes, shortened
from darts_tf.runtime.processor import cpuinfo, processor
from darts_tf.runtime.strict_json import parse_json

Probe = Callable[[], str]

PACKAGES = ("numpy", "tensorflow-datasets", "ai-edge-litert", "protobuf")
"""What else is installed with the library and decides whether it works, besides TensorFlow."""


LONGEST = 400
"""Characters of a line."""


def sections() -> dict[str, dict[str, Probe]]:
    """The probes, by section and line. Of the environment it keeps the values of this moment."""
    return {
        "versions": {
            **{"darts-tf": functools.partial(version, "darts-tf")},
            **{"Python": platform.python_version},
            **{"TensorFlow": tensorflow_version, "Keras": keras_version},
            **{package: functools.partial(version, package) for package in PACKAGES},
        },
        "machine": {
            **{"system": platform.platform, "processor": processor, "cores": cores},
            **{"AVX-512": avx512, "oneDNN": onednn},
        },
        "devices": {
            **{"CPUs": cpus, "GPUs": gpus, "NVIDIA driver": nvidia_driver},
            **{"TensorFlow is for": built_for},
        },
        "memory": {"free": free_memory, "control group": memory_limit},
        "disk": {
            "working folder": functools.partial(room, os.curdir),
            "temporary folder": lambda: room(tempfile.gettempdir()),
        },
        "strategy": {"TF_CONFIG": tf_config},
        "environment": {
            name: functools.partial(str, value) for name, value in variables(os.environ).items()
        },
        "checks": {"XLA": xla, "determinism": determinism},
    }


def attempted(probe: Probe) -> str:
    """What a probe says, in one line of ASCII; if it fails, that and why."""
    try:
        text = probe()
    except Exception as error:  # whatever it is, the other probes are worth their lines
        text = f"failed: {type(error).__name__}: {first_line(error)}"
    return shortened(text.encode("ascii", "backslashreplace").decode("ascii"), LONGEST)


# Versions


def version(package: str) -> str:
    """Version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def tensorflow_version() -> str:
    """TensorFlow's version, from TensorFlow, which several packages contain."""
    import tensorflow as tf

    return tf.__version__


def keras_version() -> str:
    """Keras' version, and those of its global settings that a user's file can change."""
    import keras

    config = keras.config
    return f"{keras.__version__} ({config.backend()}, {config.image_data_format()})"


# The machine


def cores() -> str:
    """How many cores this process may use."""
    from darts_tf.runtime import execution

    return f"{execution.cores()} of {os.cpu_count()} are for this process"


def avx512() -> str:
    """Whether the processor has AVX-512."""
    features = cpuinfo("flags").split()
    return "unknown" if not features else "on" if "avx512f" in features else "off"


def onednn() -> str:
    """Whether TensorFlow uses oneDNN, which depends on processor and environment."""
    from tensorflow.python.util import _pywrap_util_port  # it says so nowhere else

    return "on" if _pywrap_util_port.IsMklEnabled() else "off"


# Devices


def cpus() -> str:
    """How many processors TensorFlow sees."""
    import tensorflow as tf

    return str(len(tf.config.list_physical_devices("CPU")))


def gpus() -> str:
    """The GPUs that TensorFlow sees."""
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    details = map(tf.config.experimental.get_device_details, found)
    return "; ".join(_gpu(detail) for detail in details) or "none that TensorFlow can use"


def _gpu(details: Mapping[str, object]) -> str:
    capability = ".".join(map(str, details.get("compute_capability", ("unknown",))))
    return f"{details.get('device_name', 'GPU')}, compute capability {capability}"


def nvidia_driver() -> str:
    """NVIDIA GPUs, their memory and driver: also those that TensorFlow does not see."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "no nvidia-smi"
    query = "--query-gpu=name,memory.total,driver_version"
    done = subprocess.run(
        [program, query, "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = "; ".join((done.stdout or done.stderr).split("\n")).strip("; ")
    return f"failed: {said}" if done.returncode else said


def built_for() -> str:
    """What this build of TensorFlow runs on, and which CUDA it needs."""
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    if not build.get("is_cuda_build"):
        return "ROCm" if build.get("is_rocm_build") else "CPUs"
    return f"CPUs and CUDA {build['cuda_version']}, cuDNN {build['cudnn_version']}"


# Memory and disk


def free_memory() -> str:
    """Memory that this process may still take."""
    from darts_tf.runtime import memory

    total = psutil.virtual_memory().total
    return f"{gigabytes(memory.available_bytes())} of {gigabytes(total)}"


def memory_limit() -> str:
    """Memory that the control group of this process may take in all."""
    from darts_tf.runtime import memory

    try:
        limit = (memory.CGROUP / "memory.max").read_text().strip()
    except OSError:
        return "none found"
    return "no limit" if limit == "max" else gigabytes(int(limit))


def room(folder: str) -> str:
    """What is free of the folder's disk, and whether the folder can be written to."""
    usage = shutil.disk_usage(folder)
    free = f"{gigabytes(usage.free)} free of {gigabytes(usage.total)}"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"written")
    except OSError as error:
        return f"{free}, cannot be written to: {error.strerror}"
    return f"{free}, can be written to"


# Strategy and environment


def tf_config() -> str:
    """What TF_CONFIG says about the workers of a run."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        return "not set, one worker"
    from darts_tf.runtime import distribution

    try:
        parse_json(text)
        size, rank = distribution.cluster()
    except InputError as error:
        return f"broken: {error}"
    if not 0 <= rank < size:
        return f"broken: worker {rank} of {size}, counted from 0"
    return f"worker {rank} of {size}, counted from 0"


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Those variables that change what TensorFlow does, and nothing else of the environment.

    Values are hidden where the name speaks of a secret. TF_CONFIG, which names hosts, has a line of
    its own.
    """
    names = sorted(name for name in environment if _CHANGES.match(name))
    hidden = {name: "(hidden)" for name in names if _SECRET.search(name)}
    return {name: hidden.get(name, environment[name]) for name in names if name != "TF_CONFIG"}


_CHANGES = re.compile(
    r"(?!TF_(CLI|TOKEN|VAR)_)"  # Terraform's
    r"(TF_|KERAS_|(XLA_FLAGS|CUDA_VISIBLE_DEVICES|OMP_NUM_THREADS)$)"
)
_SECRET = re.compile("AUTH|CREDENTIAL|KEY|PASS|SECRET|TOKEN", re.IGNORECASE)


# Checks, in this process: it should end afterwards


def xla() -> str:
    """Whether XLA compiles a product of matrices, and gets it right."""
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def summed_product(matrix):
        return tf.reduce_sum(matrix @ matrix)

    start = time.perf_counter()
    result, expected = float(summed_product(tf.ones((8, 8)))), 8.0**3
    seconds = time.perf_counter() - start
    if result != expected:
        return f"wrong: {result} in place of {expected}"
    return f"compiles, right result, {seconds:.1f} s"


def determinism() -> str:
    """Whether a gradient is the same twice under deterministic operations, which stay on."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    images = tf.random.stateless_normal((8, 16, 16, 8), seed=(0, 0))
    kernel = tf.random.stateless_normal((3, 3, 8, 8), seed=(0, 1))

    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            loss = tf.reduce_sum(tf.nn.conv2d(images, kernel, 1, "SAME") ** 2)
        return tape.gradient(loss, kernel).numpy().tobytes()

    return "a gradient has equal bits twice" if gradient() == gradient() else "bits differ"
