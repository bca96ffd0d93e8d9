"""Diagnosis for a bug report: the installation, the machine, and whether TensorFlow works on it.

Every line comes from a separate probe. TensorFlow, and modules of this package that need it, are
imported inside the probes, so that the others still work if the installation is broken.
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
"""Packages, besides TensorFlow and Keras, whose versions the diagnosis reports."""


LONGEST = 400
"""Maximum number of characters of a line."""


def sections(environment: Mapping[str, str] | None = None) -> dict[str, dict[str, Probe]]:
    """Returns the probes by section and line; values of the environment are read immediately.

    Args:
        environment: the environment to report, by default that of this process.
    """
    changing = variables(environment or os.environ)
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
        "environment": {name: functools.partial(str, value) for name, value in changing.items()},
        "checks": {"XLA": xla, "determinism": determinism},
    }


def attempted(probe: Probe) -> str:
    """Returns the result of a probe, or its error, as one line of ASCII."""
    try:
        text = probe()
    except Exception as error:  # a failing probe must not stop the others
        text = f"failed: {type(error).__name__}: {first_line(error)}"
    return shortened(text.encode("ascii", "backslashreplace").decode("ascii"), LONGEST)


# Versions


def version(package: str) -> str:
    """Returns the version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def tensorflow_version() -> str:
    """Returns TensorFlow's version, from the module, because several packages provide it."""
    import tensorflow as tf

    return tf.__version__


def keras_version() -> str:
    """Returns Keras' version, backend and image data format, which users can configure."""
    import keras

    config = keras.config
    return f"{keras.__version__} ({config.backend()}, {config.image_data_format()})"


# The machine


def cores() -> str:
    """Returns how many cores this process may use."""
    from darts_tf.runtime import execution

    return f"{execution.cores()} of {os.cpu_count()} are for this process"


def avx512() -> str:
    """Returns whether the processor has AVX-512."""
    features = cpuinfo("flags").split()
    return "unknown" if not features else "on" if "avx512f" in features else "off"


def onednn() -> str:
    """Returns whether TensorFlow uses oneDNN, which depends on processor and environment."""
    from tensorflow.python.util import _pywrap_util_port  # there is no public function for this

    return "on" if _pywrap_util_port.IsMklEnabled() else "off"


# Devices


def cpus() -> str:
    """Returns the number of processors that TensorFlow sees."""
    import tensorflow as tf

    return str(len(tf.config.list_physical_devices("CPU")))


def gpus() -> str:
    """Returns the GPUs that TensorFlow sees."""
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    details = map(tf.config.experimental.get_device_details, devices)
    return "; ".join(_gpu(detail) for detail in details) or "none that TensorFlow can use"


def _gpu(details: Mapping[str, object]) -> str:
    capability = ".".join(map(str, details.get("compute_capability", ("unknown",))))
    return f"{details.get('device_name', 'GPU')}, compute capability {capability}"


def nvidia_driver() -> str:
    """Returns NVIDIA GPUs, their memory and driver, even if TensorFlow does not see them."""
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
    output = "; ".join((done.stdout or done.stderr).split("\n")).strip("; ")
    return f"failed: {output}" if done.returncode else output


def built_for() -> str:
    """Returns the devices that TensorFlow was built for, and the versions of CUDA and cuDNN."""
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    if not build.get("is_cuda_build"):
        return "ROCm" if build.get("is_rocm_build") else "CPUs"
    return f"CPUs and CUDA {build['cuda_version']}, cuDNN {build['cudnn_version']}"


# Memory and disk


def free_memory() -> str:
    """Returns the memory that is available to this process, and the total."""
    from darts_tf.runtime import memory

    total = psutil.virtual_memory().total
    return f"{gigabytes(memory.available_bytes())} of {gigabytes(total)}"


def memory_limit() -> str:
    """Returns the memory limit of the control group of this process."""
    from darts_tf.runtime import memory

    try:
        limit = (memory.CGROUP / "memory.max").read_text().strip()
    except OSError:
        return "none found"
    return "no limit" if limit == "max" else gigabytes(int(limit))


def room(folder: str) -> str:
    """Returns the free space of a folder's disk, and whether the folder is writable."""
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
    """Returns the rank and number of workers in TF_CONFIG, or why it is invalid."""
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
    """Returns the environment variables that change the behavior of TensorFlow and Keras.

    Values are hidden if the name suggests a secret. TF_CONFIG, which names hosts, is left out: it
    has a probe of its own.
    """
    names = sorted(name for name in environment if _CHANGES.match(name))
    hidden = {name: "(hidden)" for name in names if _SECRET.search(name)}
    return {name: hidden.get(name, environment[name]) for name in names if name != "TF_CONFIG"}


_CHANGES = re.compile(
    r"(?!TF_(CLI|TOKEN|VAR)_)"  # Terraform's
    r"(TF_|KERAS_|(XLA_FLAGS|CUDA_VISIBLE_DEVICES|OMP_NUM_THREADS)$)"
)
_SECRET = re.compile("AUTH|CREDENTIAL|KEY|PASS|SECRET|TOKEN", re.IGNORECASE)


# Checks, which change the state of TensorFlow: the process should end afterwards


def xla() -> str:
    """Checks that XLA compiles a matrix product and computes it correctly."""
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
    """Checks that deterministic operations, which stay enabled, repeat a gradient bit for bit."""
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
