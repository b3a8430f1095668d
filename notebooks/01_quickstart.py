# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first look at the champion
#
# `make quickstart` has left a workspace with a trained model, its *champion*. This notebook opens it, recommends to a
# few users exactly as the service would, and looks at what is special about this model: it stores no weights per
# user. A small network (the *hypernetwork*) reads a user's context, which is the history and what follows from it, and
# emits a **head**: the handful of numbers that say how far this user's ranking should trust each shared *expert*.
#
# Nothing here writes to the workspace. To look at another one, start Jupyter with `RECSYS_WORKSPACE=its-name`.

# %%
import os
import re
import warnings
from itertools import cycle, zip_longest
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from IPython.display import Markdown, display

from recsys import columns
from recsys.errors import ConfigError
from recsys.evaluation.full_ranking import MODEL, SHARED_BLEND, rank_targets
from recsys.evaluation.protocol import leave_one_out
from recsys.jobs.opened import open_champion
from recsys.metrics.ranking import ndcg
from recsys.training.dataset import Dataset

NAME = os.environ.get("RECSYS_WORKSPACE", "movielens-100k")
checkout = Path.cwd().parent if Path.cwd().name == "notebooks" else Path.cwd()
os.environ.setdefault("RECSYS_HOME", str(checkout / "workspaces"))

try:
    opened = open_champion(NAME)
except ConfigError as error:
    warnings.filterwarnings("ignore", "To exit")
    missing = f"There is no champion in workspace '{NAME}' yet: run `make quickstart`, then this notebook again."
    raise SystemExit(error if "RECSYS_WORKSPACE" in os.environ else missing) from None

recommender, reader, titles = opened.recommender, opened.reader, opened.titles
EXPERTS = recommender.model.network.names
Markdown(
    f"**{NAME}**: {opened.catalogue.users.height:,} users, {len(recommender.vocabulary):,} items. The champion is "
    f"version **{recommender.version}** with the experts {', '.join(EXPERTS)}."
)

# %% [markdown]
# The next cell fixes how tables and figures look (skip it), then lists the experts.

# %%
COLOURS = dict(
    zip(EXPERTS, cycle(["#3567A8", "#E08A1E", "#2E9077", "#A8478F", "#7A6A53", "#5B5EA6", "#C0504D"]), strict=False)
)
QUIET, INK = "#C9CED6", "#22262E"
plt.rcParams.update(
    {
        "figure.dpi": 110,
        "figure.constrained_layout.use": True,
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#8A909C",
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": "#555B66",
        "ytick.color": "#555B66",
        "legend.frameon": False,
        "text.parse_math": False,
    }
)


def table(contents):
    """Lists side by side; a shorter one leaves its last places empty."""
    rule = ["---:" if isinstance(values[0], float | np.floating) else "---" for values in contents.values()]
    lines = [list(contents), rule, *zip_longest(*contents.values(), fillvalue="")]
    display(Markdown("\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)))


def cell(value):
    """A number with two decimals, or a text whose characters mean nothing to Markdown."""
    return f"{value:.2f}" if isinstance(value, float | np.floating) else re.sub(r"([*_|<>$`\[\]])", r"\\\1", str(value))


def strengths(heads):
    """(users, experts): what each expert's scores are multiplied by, the temperature included."""
    return (heads.gains * (-heads.log_temperature).exp()[:, None]).numpy()


SAYS = {
    "body": "what a neural network that reads the history in order expects next",
    "memory": "what has followed the latest few items in other users' histories",
    "long_term": "what goes with the whole history, its order hardly mattering",
    "content": "what has followed items of the same kind",
    "repeat": "what this user has come back to",
    "trend": "what everybody likes lately",
    "popularity": "what everybody likes",
}
KINDS = {spec.name: spec.kind for spec in recommender.model.config.experts}
told = [SAYS.get(name) or SAYS[KINDS[name]] for name in EXPERTS]
table({"expert": EXPERTS, "how it scores an item": told})

# %% [markdown]
# ## Three users, and what they get
#
# One with a short history, one with a middling and one with a long one. `open_champion` reads them from the feature
# store through the same reader, and ranks with the same `Recommender`, as the HTTP service and the batch job.

# %%
data = Dataset.load(opened.workspace, upto=opened.snapshot.lineage["log_position"])
lengths = data.interactions.group_by(columns.USER_ID).len("events").sort("events", columns.USER_ID)
SHORT, MIDDLING, LONG = (lengths[columns.USER_ID][int(share * (lengths.height - 1))] for share in (0.1, 0.5, 0.9))

rows = reader.online([SHORT, MIDDLING, LONG])
for user, ranking in zip(rows, recommender.recommend(rows, k=8), strict=True):
    display(Markdown(f"**User {user.user_id}**, {user.event_count} events"))
    table(
        {
            "newest in the history": titles(user.history_items[:-9:-1]),
            "recommended": titles(ranking.item_ids),
            "score": ranking.scores,
        }
    )

# %% [markdown]
# A score is a logit: only differences within one user's list mean anything.
#
# ## How much do heads differ?
#
# Each expert's scores are first brought to one scale, then multiplied by the *strength* that the user's head gives the
# expert (its gain over the head's temperature). The dashed line is the best single blend for everybody, tuned on the
# same data: it is where every head starts, and the control that a personal head has to beat.

# %%
sample = lengths.sample(min(1_000, lengths.height), seed=0)[columns.USER_ID].to_list()
population = strengths(recommender.heads(reader.online(sample)))
shared = strengths(recommender.model.shared)[0]

figure, panels = plt.subplots(1, len(EXPERTS), figsize=(2.7 * len(EXPERTS), 2.7), sharey=True, squeeze=False)
for panel, expert, own, blend in zip(panels[0], EXPERTS, population.T, shared, strict=True):
    panel.hist(own, bins=30, color=COLOURS[expert], alpha=0.85)
    panel.axvline(blend, color=INK, linestyle="--", linewidth=1.4)
    panel.set(title=expert, xlabel="strength")
panels[0, 0].set_ylabel("users")
figure.suptitle(
    f"What heads make of each expert, {len(sample):,} users (dashed: the shared head)", x=0.01, ha="left", weight="bold"
)
plt.show()

# %% [markdown]
# ## One user's head in plain words
#
# The user with the long history. Every expert has its own scale, so the figure shows ranks among users: a dot at 90
# means that this expert counts more for this user than for nine users in ten.

# %%
USER = LONG
[row] = reader.online([USER])
head = recommender.heads([row])
own = strengths(head)[0]


def ranks_among_users(values):
    """(experts,): the share of users with a smaller strength, in per cent; equal ones count half."""
    return 100 * ((population < values).mean(0) + (population == values).mean(0) / 2)


rank, shared_rank = ranks_among_users(own), ranks_among_users(shared)
figure, axes = plt.subplots(figsize=(9, 0.5 * len(EXPERTS) + 1.2))
places = np.arange(len(EXPERTS))[::-1]
axes.barh(places, 80, left=10, height=0.5, color=QUIET, alpha=0.6, label="the middle 80 % of users")
axes.plot(shared_rank, places, "D", markerfacecolor="white", markeredgecolor=INK, markersize=7, label="shared head")
axes.scatter(rank, places, s=90, color=[COLOURS[name] for name in EXPERTS], zorder=3, label=f"user {USER}")
for place, strength, blend in zip(places, own, shared, strict=True):
    axes.text(103, place, f"strength {strength:.2f}, shared {blend:.2f}", va="center", color="#555B66")
axes.set(yticks=places, yticklabels=EXPERTS, xlim=(-2, 102), xlabel="rank among users (% of users with less)")
axes.set_title(f"The head of user {USER}")
axes.spines["left"].set_visible(False)
axes.tick_params(axis="y", length=0)
figure.legend(loc="outside lower center", ncols=3)
plt.show()


def in_words(name, strength, place, blend):
    """One expert's part of a head as a sentence."""
    usual = "more than for most" if place >= 75 else "less than for most" if place <= 25 else "about as much as usual"
    if abs(strength) < 0.05:
        aside = " That is too little to matter."
    else:
        aside = " Below zero it speaks against what it likes." if strength < 0 else ""
    return (
        f"- **{name}** counts {usual}: its strength {strength:.2f} is above that of {place:.0f} % of users. "
        f"The shared head gives it {blend:.2f}.{aside}"
    )


sentences = [in_words(*parts) for parts in zip(EXPERTS, own, rank, shared, strict=True)]
if head.film is not None:
    sentences.append(
        f"- Beyond these strengths, the head rescales each of the {head.film.shape[1]} numbers in which the body sums "
        f"up the history, by {head.film.abs().mean():.0%} on average."
    )
Markdown("\n".join([f"For user {USER}, with {row.event_count} events:", *sentences]))

# %% [markdown]
# ## Why is this item recommended?
#
# A score is the sum of the experts' shares. An average item gets a share of every expert too, so the figure shows
# how far each expert lifts an item **above the average item of the catalogue**: that is what brings it to the top. The
# table then names the items of the history without which the score would fall the most, found by leaving each out and
# running the whole line again, head included.

# %%
[ranking] = recommender.recommend([row], k=10)
reasons = {reason.item_id: reason for reason in recommender.explain(row, recommender.vocabulary)}
average = {name: np.mean([reason.experts[name] for reason in reasons.values()]) for name in EXPERTS}
lift = np.array([[reasons[item].experts[name] - average[name] for name in EXPERTS] for item in ranking.item_ids])

figure, axes = plt.subplots(figsize=(9, 0.36 * len(lift) + 1.3))
places = np.arange(len(lift))[::-1]
right, left = np.zeros(len(lift)), np.zeros(len(lift))
for name, part in zip(EXPERTS, lift.T, strict=True):
    axes.barh(places, part, left=np.where(part >= 0, right, left), height=0.68, color=COLOURS[name], label=name)
    right, left = right + np.maximum(part, 0), left + np.minimum(part, 0)
axes.axvline(0, color="#8A909C", linewidth=0.8)
axes.set(yticks=places, yticklabels=titles(ranking.item_ids), xlabel="lift over the average item (logits)")
axes.set_title(f"What lifts the ten items recommended to user {USER}")
axes.spines["left"].set_visible(False)
axes.tick_params(axis="y", length=0)
axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
plt.show()

best = [reasons[item] for item in ranking.item_ids[:5]]
because = [", ".join(f"{titles([item])[0]} ({fall:+.2f})" for item, fall in reason.history) for reason in best]
table({"recommended": titles([reason.item_id for reason in best]), "mostly because of": because})

# %% [markdown]
# ## Is a personal head worth it?
#
# Training did not see the second last event of any user with three or more. (The last one is the test target, which
# only `recsys evaluate --split test` looks at; it keeps a record of each look.) Here these items are ranked among the
# whole catalogue, once under the user's own head and once under the shared one. The right half shows the difference
# user by user, which is much better known than either figure alone. Bars are 95 % intervals over users.

# %%
split = leave_one_out(data.interactions, "validation")
some = np.random.default_rng(0).permutation(len(split))[:3_000]
users, moments, targets = (
    np.take(column, some).tolist() for column in (split.user_ids, split.moments, split.target_items)
)
before = reader.as_of(users, moments)
ranks = rank_targets(recommender, before, targets, {})
personal, common = ndcg(ranks[MODEL], 10), ndcg(ranks[SHARED_BLEND], 10)


def mean_and_margin(values):
    """A mean and the half-width of its 95 % interval."""
    return values.mean(), 1.96 * values.std() / np.sqrt(len(values))


known = np.array([context.event_count for context in before])
group = np.searchsorted(np.unique(np.quantile(known, [0.2, 0.4, 0.6, 0.8])), known, side="left")
groups = [group == number for number in np.unique(group)]
ticks = [f"{known[own].min()}–{known[own].max()}\n{own.sum()} users" for own in groups]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6))
for panel, label, values, colour, marker, shift in (
    (left, "personal head", personal, COLOURS[EXPERTS[0]], "o", -0.08),
    (left, "shared head", common, INK, "D", 0.08),
    (right, None, personal - common, COLOURS[EXPERTS[0]], "o", 0.0),
):
    means, margins = np.transpose([mean_and_margin(values[own]) for own in groups])
    places = np.arange(len(groups)) + shift
    panel.errorbar(places, means, margins, fmt=marker, markersize=6, color=colour, capsize=3, label=label)
left.set(ylim=(0, left.get_ylim()[1] * 1.25), ylabel="validation NDCG@10", title="Ranking quality by length of history")
left.legend(loc="upper right", ncols=2)
right.set(ylabel="difference in NDCG@10", title="Personal minus shared head, same users")
right.axhline(0, color="#8A909C", linewidth=0.8)
for panel in (left, right):
    panel.set(xticks=range(len(groups)), xticklabels=ticks, xlabel="events known of the user")
    panel.set_xlim(-0.5, len(groups) - 0.5)
plt.show()

mean, margin = mean_and_margin(personal - common)
verdict = "within the noise" if abs(mean) <= margin else "beyond the noise"
Markdown(
    f"Over {len(some):,} of {len(split):,} users: NDCG@10 **{personal.mean():.4f}** with personal heads, "
    f"{common.mean():.4f} with the shared one. The difference is **{mean:+.4f} ± {margin:.4f}**, {verdict}."
)

# %% [markdown]
# ## Somebody the model has never seen
#
# A head needs a context, not an account. Out of three items that a visitor likes, `opened.context` makes the same
# `FeatureRow` that the service would make of such a request; nothing is stored, nothing is trained. Put titles of your
# own into `TASTES`; where this catalogue lacks a title, one of its best known stands in.

# %%
TASTES = {"Anna": ["Alien", "Blade Runner", "The Terminator"], "Ben": ["Toy Story", "Aladdin", "The Lion King"]}

known_best = data.interactions.group_by(columns.ITEM_ID).len().sort("len", columns.ITEM_ID, descending=[True, False])
best_known = known_best[columns.ITEM_ID].to_list()
by_title = dict(zip(reversed(titles(best_known)), reversed(best_known), strict=True))
stand_ins = iter(best_known)
liked = {name: [by_title.get(title) or next(stand_ins) for title in wanted] for name, wanted in TASTES.items()}

visitors = [opened.context(history=items) for items in liked.values()]
answers = recommender.recommend(visitors, k=8)
table(
    {f"{name} likes": titles(items) for name, items in liked.items()}
    | {f"{name} gets": titles(own.item_ids) for name, own in zip(liked, answers, strict=True)}
)
heads = dict(zip(liked, strengths(recommender.heads(visitors)), strict=True))
table({"strength of": EXPERTS, **heads, "shared head": shared})

# %% [markdown]
# ## A head grows with its user
#
# The user with the long history once more, as of earlier moments: before the first event, after one, after three, and
# so on. The feature store answers for the past as it does for now, so these are the heads that the present model would
# have given then. (Its experts were fitted on these events too: this shows the mechanism, not the quality.) An event
# that the service acknowledges moves the head in the same way, at once and without training.

# %%
moments = data.interactions.filter(pl.col(columns.USER_ID) == USER)[columns.EFFECTIVE_AT].to_list()
steps = [n for n in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610) if n < 0.9 * len(moments)]
past = [*reader.as_of([USER] * len(steps), [moments[n] for n in steps]), row]
events = [then.event_count for then in past]
grown = strengths(recommender.heads(past))

figure, axes = plt.subplots(figsize=(8, 3.6))
for name, line, blend in zip(EXPERTS, grown.T, shared, strict=True):
    axes.plot(events, line, "o-", color=COLOURS[name], markersize=4, linewidth=1.8, label=name)
    axes.axhline(blend, color=COLOURS[name], linestyle="--", linewidth=0.9, alpha=0.6)
axes.set_xscale("symlog", linthresh=1)
ticks = [n for n in (0, 1, 3, 10, 30, 100, 300) if n <= events[-1]]
axes.set(xticks=ticks, xticklabels=ticks, xlim=(-0.2, 1.15 * events[-1]))
axes.minorticks_off()
axes.set(xlabel="events known", ylabel="strength", title=f"The head of user {USER} as events are added")
axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title="dashed: the shared head", alignment="left")
plt.show()

shown = np.unique(np.linspace(0, len(past) - 1, 6).astype(int))
first = recommender.recommend([past[at] for at in shown], k=3)
table(
    {
        "events known": [events[at] for at in shown],
        "the first three recommendations": ["; ".join(titles(ranking.item_ids)) for ranking in first],
    }
)

# %% [markdown]
# ## From here
#
# - `recsys explain --workspace NAME --user ID`: what this notebook shows of one user, in the terminal.
# - `recsys batch --workspace NAME`: recommendations for everybody, as parquet; `pl.read_parquet` opens them here.
# - `recsys serve --workspace NAME`: the same answers over HTTP.
# - `recsys data import DIR --workspace NAME`, then `recsys train` and `recsys promote`: your own data. Open it here
#   with `RECSYS_WORKSPACE=NAME`.
