"""Every setting of every command: frozen dataclasses, the only place where defaults live.

The command line makes its flags from these fields and shows the text below a field as its help.
"""

from darts_tf.configs.commands import (
    DemoConfig,
    DoctorConfig,
    EvaluateConfig,
    ExportConfig,
    ImportConfig,
    InspectConfig,
    LaunchConfig,
    PredictConfig,
)
from darts_tf.configs.running import (
    PRESETS,
    CompareConfig,
    RecipeConfig,
    RunConfig,
    SearchConfig,
    TrainConfig,
    preset_fields,
)
from darts_tf.configs.serving import ServeConfig

__all__ = [
    "PRESETS",
    "RecipeConfig",
    "CompareConfig",
    "DemoConfig",
    "DoctorConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ImportConfig",
    "InspectConfig",
    "LaunchConfig",
    "PredictConfig",
    "RunConfig",
    "SearchConfig",
    "ServeConfig",
    "TrainConfig",
    "preset_fields",
]
