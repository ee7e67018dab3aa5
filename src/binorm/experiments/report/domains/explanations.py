"""The small print of a domain report: what each table and figure shows, and what cannot be read from it."""

from binorm.experiments.report.domains.pictures import DRAWN_TASKS as DRAWN_TASKS
from binorm.experiments.runs.domains import ADAPTATION, GENERALIZATION, MIXED

TABLE = (
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
SINGLES = "Each row is a network that was trained on the pictures of one domain alone."
DIFFERENCES = (
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
GATES = (
    "A gate of 1 is batch norm and keeps a picture's own style; a gate of 0 is instance norm and takes it out. The "
    "lower the line and the higher the bar, the more style is removed."
)
HISTOGRAMS = (
    "Share of channels in ten equal bins: a gate of 1 is batch norm, of 0 instance norm. Gates of all runs together."
)
