"""Presets: for each name, the fields that differ from the defaults of the config class.

The defaults themselves are the preset `digits`, or `pydoc` for runs on text. Images from other
sources have the preset `photos` by default.
"""

from __future__ import annotations

# Liu et al. 2019, section 3.1 and appendix A.1: the paper's search on CIFAR-10
_CIFAR10_SEARCH = {
    **{"dataset": "cifar10", "epochs": 50, "channels": 16, "cells": 8},
    **{"arch_learning_rate": 3e-4, "crop_padding": 4, "flip": True},
}

SEARCH_PRESETS = {
    "digits": {"dataset": "digits"},
    # batch, epochs and padding follow the images of a folder, see `data.defaults`
    "photos": {"arch_gradient": "first_order", "flip": True, "crop_padding": 4},
    "cifar10": _CIFAR10_SEARCH,
    # Xu et al. 2020, section 4.2: partial channels on CIFAR-10
    "pc-darts": {
        **_CIFAR10_SEARCH,
        **{"batch_size": 256, "learning_rate": 0.1, "learning_rate_min": 0.0},
        **{"partial_channels": 4, "arch_gradient": "first_order"},
        **{"arch_learning_rate": 6e-4, "arch_from_epoch": 15},
    },
    # Chen et al. 2019, section 4.1.1: progressive stages on CIFAR-10
    "p-darts": {
        **_CIFAR10_SEARCH,
        **{"epochs": 25, "batch_size": 96, "learning_rate_min": 0.0},
        **{"arch_gradient": "first_order", "arch_learning_rate": 6e-4, "arch_from_epoch": 10},
        **{"stages": ("5:8:0.1", "11:5:0.4", "17:3:0.7"), "max_skips": 2},
    },
    "tiny": {"epochs": 1, "batch_size": 16, "channels": 2, "limit": 64},
}
"""Presets of searches: the fields that differ from the defaults of `SearchConfig`."""

# Liu et al. 2019, section 3.3 and appendix A.2: the paper's evaluation on CIFAR-10
_CIFAR10_EVALUATION = {
    "dataset": "cifar10",
    "epochs": 600,
    "batch_size": 96,
    "channels": 36,
    "cells": 20,
    "auxiliary": True,
    "drop_path": 0.2,
    "crop_padding": 4,
    "flip": True,
    "cutout": 16,
}

# Liu et al. 2019, section 3.3 and appendix A.3: transfer to ImageNet in the mobile setting
_IMAGENET_EVALUATION = {
    **{"dataset": "imagenet2012", "stem": "imagenet", "channels": 48, "cells": 14},
    **{"epochs": 250, "batch_size": 128, "auxiliary": True, "label_smoothing": 0.1},
    **{"learning_rate": 0.1, "schedule": "exponential", "learning_rate_decay": 0.97},
    **{"weight_decay": 3e-5, "random_resized_crop": True, "color_jitter": True, "flip": True},
}

EXPECTED = {
    "cifar10": "2.76 +- 0.09 % test error with DARTS_V2 (Liu et al. 2019, table 1)",
    "pc-darts": "2.57 +- 0.07 % test error with PCDARTS (Xu et al. 2020, table 1)",
    "imagenet": "26.7 % top-1 and 8.7 % top-5 error with DARTS_V2 (Liu et al. 2019, table 3)",
    "imagenet-large-batch": "25.1 % top-1 and 7.8 % top-5 error with PCDARTS (Xu et al. 2020)",
    "ptb": "58.1 valid and 55.7 test perplexity with DARTS_V2 (Liu et al. 2019, table 2)",
    "wikitext-2": "71.2 valid and 69.6 test perplexity with DARTS_V2 (Liu et al. 2019, table 5)",
}
"""Published results of the training presets."""

TRAIN_PRESETS = {
    "digits": {"dataset": "digits"},
    "photos": {"flip": True, "crop_padding": 4},
    "cifar10": _CIFAR10_EVALUATION,
    # Xu et al. 2020, section 4.2
    "pc-darts": {**_CIFAR10_EVALUATION, "drop_path": 0.3},
    "imagenet": _IMAGENET_EVALUATION,
    # Xu et al. 2020, section 4.3: a batch of 1024 with warm-up
    "imagenet-large-batch": {
        **_IMAGENET_EVALUATION,
        **{"batch_size": 1024, "learning_rate": 0.5, "schedule": "linear", "warmup_epochs": 5},
    },
    "tiny": {"epochs": 1, "batch_size": 16, "channels": 2, "cells": 3, "limit": 64},
}
"""Presets of trainings: the fields that differ from the defaults of `TrainConfig`."""

STAGED_SEARCH = {
    **dict.fromkeys(("digits", "photos", "tiny"), {"cells": 1}),
    # Dong and Yang 2020, section 2.2 and appendix: the benchmark's network
    **dict.fromkeys(("cifar10", "pc-darts"), {"cells": 5}),
}
"""Fields that presets of searches set in the space of NAS-Bench-201, besides their own: `cells` are
those of each of three stages there."""

# Dong and Yang 2020, table 2: the training of all cells of the benchmark
_BENCHMARK = {
    **{"epochs": 200, "batch_size": 256, "learning_rate": 0.1, "weight_decay": 5e-4},
    **{"channels": 16, "cells": 5, "auxiliary": False, "drop_path": 0.0, "cutout": 0},
}
STAGED_TRAIN = {
    **dict.fromkeys(("digits", "photos", "tiny"), {"cells": 1}),
    **dict.fromkeys(("cifar10", "pc-darts"), _BENCHMARK),
}
"""Fields that presets of trainings set for cells of NAS-Bench-201, besides their own."""

TRAINED_BY = {"p-darts": "cifar10"}
"""Presets of trainings for the cells of a search, where the search's own is none of a training."""

# Liu et al. 2019, section 3.1.2 and appendix A.1.2: the paper's search on Penn Treebank
_PTB_DROPOUTS = {
    **{"embedding_dropout": 0.2, "input_dropout": 0.75},
    **{"hidden_dropout": 0.25, "output_dropout": 0.75},
}

TEXT_SEARCH_PRESETS = {
    "pydoc": {"dataset": "pydoc"},
    "ptb": {
        **{"dataset": "ptb", "epochs": 50, "batch_size": 256, "units": 300, "learning_rate": 20.0},
        **_PTB_DROPOUTS,
    },
    "tiny": {"epochs": 1, "batch_size": 8, "units": 16, "time_steps": 10, "limit": 2000},
}
"""Presets of searches on text: the fields that differ from `TextSearchConfig`'s defaults."""

# Liu et al. 2019, section 3.3.2 and appendix A.2.2: the paper's evaluation on Penn Treebank
_PTB_EVALUATION = {
    **{"dataset": "ptb", "epochs": 3600, "batch_size": 64, "units": 850},
    **{"word_dropout": 0.1, **_PTB_DROPOUTS, "weight_decay": 8e-7},
}

TEXT_TRAIN_PRESETS = {
    "pydoc": {"dataset": "pydoc"},
    "ptb": _PTB_EVALUATION,
    # section 3.3.3 and appendix A.3.2: transfer of the cell to WikiText-2
    "wikitext-2": {
        **_PTB_EVALUATION,
        **{"dataset": "wikitext-2", "units": 700, "hidden_dropout": 0.15, "weight_decay": 5e-7},
    },
    "tiny": {"epochs": 1, "batch_size": 8, "units": 16, "time_steps": 10, "limit": 2000},
}
"""Presets of trainings on text: the fields that differ from `TextTrainConfig`'s defaults."""
