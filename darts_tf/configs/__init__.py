"""Every setting of every command: frozen dataclasses, the only place where defaults live.

The command line makes its flags from these fields and shows the text below a field as its help.
"""

from darts_tf.configs.commands import (
    CompletionConfig,
    DemoConfig,
    DeriveConfig,
    DoctorConfig,
    EvaluateConfig,
    ExportConfig,
    ImportConfig,
    InspectConfig,
    LaunchConfig,
    PredictConfig,
    SampleConfig,
)
from darts_tf.configs.costs import BudgetConfig, CostConfig, ProfileConfig
from darts_tf.configs.images import RecipeConfig, SearchConfig, TrainConfig
from darts_tf.configs.kinds import KINDS, kind_of
from darts_tf.configs.run import ArchConfig, RunConfig, preset_fields
from darts_tf.configs.serve import ServeConfig
from darts_tf.configs.show import BoardConfig, PlotConfig, ReportConfig
from darts_tf.configs.studies import (
    BaselineConfig,
    CompareConfig,
    SelectConfig,
    StudyConfig,
    TuneConfig,
)
from darts_tf.configs.text import ON_TEXT, TextConfig, TextSearchConfig, TextTrainConfig

__all__ = [
    "ArchConfig",
    "BaselineConfig",
    "BoardConfig",
    "BudgetConfig",
    "CostConfig",
    "DeriveConfig",
    "ProfileConfig",
    "KINDS",
    "ON_TEXT",
    "RecipeConfig",
    "CompareConfig",
    "CompletionConfig",
    "DemoConfig",
    "DoctorConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ImportConfig",
    "InspectConfig",
    "LaunchConfig",
    "PlotConfig",
    "PredictConfig",
    "ReportConfig",
    "RunConfig",
    "SampleConfig",
    "SearchConfig",
    "SelectConfig",
    "ServeConfig",
    "StudyConfig",
    "TextConfig",
    "TextSearchConfig",
    "TextTrainConfig",
    "TrainConfig",
    "TuneConfig",
    "kind_of",
    "preset_fields",
]
