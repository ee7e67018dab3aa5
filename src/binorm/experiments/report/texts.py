"""The small print of reports: what each table and figure shows, and what cannot be read from it."""

from binorm.experiments.report.published import GATES
from binorm.experiments.runs.domains import ADAPTATION, GENERALIZATION, MIXED

SPREAD = (
    "Mean ± sample standard deviation over runs. The last epoch is the main figure. Differences are paired by seed; "
    "their 95 % intervals and p-values are those of the paired t-test, not corrected for the number of comparisons; "
    "'before correction' marks those that Holm's correction for the norms takes back. "
)
FLATTERS = "A best epoch that is chosen on the test set knows the labels it is measured on, so it flatters."
CURVES = (
    "Lines are means over runs, bands ± one standard deviation, and the number is the mean of the last epoch. "
    "Axes are fitted to what comes after the first fifth of training."
)
SHIFTED = {
    "style": "shifts of style (light, exposure, colour, contrast, haze, print)",
    "corruption": (
        "the common corruptions (noise, blur, weather, compression; Hendrycks & Dietterich 2019, at the strengths made "
        "for 224 pixels, so that small pictures suffer more than in CIFAR-10-C)"
    ),
}
SHIFTED_MEANS = (
    "Means give each shift the same weight; differences are paired by seed. Nothing was trained on shifted pictures or "
    "chosen by them."
)
OVERVIEW = (
    "Each dot is a mean over seeds of the difference after the last epoch, each line its 95 % interval by the paired "
    "t-test, not corrected for their number; grey are schedules shorter than the recipe's. An arrow leaves the axes. "
    "Of three seeds it reaches 4.3 standard errors to either side."
)
COST = "Speeds are what these runs saw, whatever else the machine did; benchmarks/ compares side by side."
COUNTED_OPERATIONS = (
    " Operations are those of convolutions and linear layers in training, three forward passes a picture; energy is "
    "shown where the machine counts it."
)
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
# Of several domains.
DOMAIN_TABLE = (
    "Mean ± sample standard deviation over seeds after the last epoch; the mean over tasks is formed for each seed "
    "first. Bold is the highest mean among the norms of a method, by chance or not."
)
CHOSEN = {
    GENERALIZATION: "epoch chosen on validation pictures of the training domains",
    ADAPTATION: "epoch chosen on validation pictures",
    MIXED: "epoch chosen on validation pictures",
}
DOMAINBED = (
    "Validation pictures of the training domains tell nothing of the domain left out: DomainBed's training-domain "
    "validation (Gulrajani & Lopez-Paz 2021)."
)
SINGLE_DOMAINS = "Each row is a network that was trained on the pictures of one domain alone."
DOMAIN_DIFFERENCES = (
    "Differences in percentage points of the last epoch, paired by seed and averaged over tasks, with the 95 % "
    "interval and p-value of the paired t-test over seeds; Holm's correction is for the comparisons of the table. "
    "They are about other seeds on these tasks, not about other data. The exact sign test takes tasks as independent, "
    "which tasks that share domains, or a network, are not."
)
BY_TASK = "Differences of each task with their 95 % intervals; Holm's correction is for the tasks of a column."
CONFUSIONS = (
    "Rows are the true class and columns the predicted one, in percent of each true class after the last epoch, mean "
    "over seeds; tasks with the same target are averaged. In the difference, a diagonal above 0 is more pictures "
    "recognized, and the colour is deepest at its own largest change."
)
FEATURES = (
    "What the classifier sees of pictures, laid out by t-SNE (first 50 principal components, fixed seed): near each "
    "other means alike, while distances between groups and their sizes mean little."
)
DOMAIN_GATES = (
    "A gate of 1 is batch norm and keeps a picture's own style; a gate of 0 is instance norm and takes it out. The "
    "lower the line and the higher the bar, the more style is removed."
)
# Of the table of several recipes.
PAPER_TABLE = (
    "Mean ± sample standard deviation over runs after the last epoch; in grey what the paper reports. Bold is the "
    "highest mean of its column, by chance or not. Differences are paired by seed; their 95 % intervals and p-values "
    "are those of the paired t-test, and Holm's correction is for the number of columns."
)
PAPER_BEST_ON_TEST = (
    "A best epoch that is chosen on the test set knows the labels it is measured on, so it flatters; the paper's "
    "figures are chosen that way as well, as far as its authors' code tells."
)
PAPER_BEST_ON_VALIDATION = (
    "The epoch is chosen by training pictures that were held out; the paper's figures are chosen on the test set, "
    "as far as its authors' code tells."
)
# Of robustness.
ROBUSTNESS_TOP1 = (
    "Every network and method saw exactly the same pictures. Means give each shift the same weight; ± is the sample "
    "standard deviation over calibration seeds. mCE is the error relative to the baseline's, corruption by corruption "
    "(Hendrycks & Dietterich 2019), whose baseline has 100; lower is better. Bold is the highest of its column, by "
    "chance or not."
)
ROBUSTNESS_DIFFERENCES = (
    "Points of top-1 above the baseline on the same pictures, with the 95 % interval of a paired bootstrap over "
    "pictures, each with all its shifts and seeds; p with Holm's correction for the rows of a column. They are about "
    "other pictures of this kind, not about other shifts."
)
ROBUSTNESS_MAP = "Points above (orange) and below (blue) the baseline; one scale for all rows, the mean over seeds."
ROBUSTNESS_SEVERITIES = (
    "The number is that of the highest severity. Where every picture has one severity in turn, a point is of a fifth "
    "of the pictures, others for each shift."
)
ROBUSTNESS_CALIBRATION = (
    "ECE: expected calibration error in points, 15 bins, the mean over shifts; 0 where a network is right as often as "
    "it says. "
)
ROBUSTNESS_COST = (
    "Times are of the network and the method alone, as this machine was at that time; methods to which the batch does "
    "not matter are asked in batches of 50."
)
