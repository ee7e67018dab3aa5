"""The small print of reports: what each table and figure shows, and what cannot be read from it."""

from binorm.experiments.report.published import GATES

SPREAD = (
    "Mean ± sample standard deviation over runs. The last epoch is the main figure. Differences are paired by seed; "
    "their 95 % intervals and p-values are those of the paired t-test, not corrected for the number of comparisons. "
)
FLATTERS = "A best epoch that is chosen on the test set knows the labels it is measured on, so it flatters."
CURVES = (
    "Lines are means over runs, bands ± one standard deviation, and the number is the mean of the last epoch. "
    "Axes are fitted to what comes after the first fifth of training."
)
COST = "Speeds are what these runs saw, whatever else the machine did; benchmarks/ compares side by side."
GATE_SHARES = (
    "Share of channels in ten equal bins: a gate of 1 is batch norm, of 0 instance norm. Gates of all runs together."
)
PUBLISHED_GATES = (
    f"Outlines and grey figures are the paper's {GATES.network}, read off its figure within {GATES.tolerance}; "
    "its lower, middle and upper stage stand beside the three stages here. Its network and data need not be these."
)
DEVELOPMENT = (
    "Lines are means over runs, bands ± one standard deviation. "
    "In the strips, each column is the histogram after an epoch; epoch 0 is before training."
)
RESPONSES = (
    "Channels with low gates, and the pictures that they respond to most: the response of the norm before its "
    "activation with the gate as learned, at 0 (instance norm) and at 1 (batch norm), all other gates as learned."
)
