"""A catalogue of any size that looks like a trained one: items drawn from the distribution of a champion's.

Vectors and popularity come jointly from a Gaussian mixture fitted to the champion's. What else an expert knows of an
item is that of a real item of the same component. The champion's items stay, as the first ones: contexts are real.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from recsys.context.encoder import ContextEncoder
from recsys.context.sequences import ragged_ranges
from recsys.experts.body import BodyExpert
from recsys.experts.content import ContentExpert
from recsys.experts.habit import HabitExpert
from recsys.experts.long_term import LongTermMemory
from recsys.experts.memory import SequenceMemory
from recsys.experts.novelty import NoveltyExpert
from recsys.experts.popularity import PopularityExpert
from recsys.experts.protocol import Expert
from recsys.experts.repeat import RepeatExpert
from recsys.experts.top_weights import TopWeights
from recsys.model.personal import PersonalModel, expert_specs
from recsys.model.scoring import POPULARITY, ScoringNetwork
from recsys.ranking.recommender import Recommender

COMPONENTS = (1, 2, 4, 8)
TOP = 100
"""Weights a memory's row keeps."""
_SPREAD = 0.1
"""Added to each variance of the mixture, in units of the whole variance."""
_HELD_OUT = 0.1
_BLOCK = 100_000


class DrawnCatalogue:
    """Items by number: the first are the champion's own, the others drawn.

    Args:
        network: the champion's.
        n_items: how many in all.
        seed: of every draw.
        met: of how many of the first items contexts hold events: what memories say after the others is left out. None:
            of the champion's own.
    """

    def __init__(self, network: ScoringNetwork, n_items: int, seed: int, met: int | None = None) -> None:
        self._rng = np.random.default_rng(seed)
        self.n_own = network.n_items
        self._met = self.n_own if met is None else met
        own = torch.cat([network.body.items[1:], network.log_popularity[:, None]], dim=1).double().numpy()
        mean, spread = own.mean(0), np.maximum(own.std(0), 1e-9)
        mixture, self.held_out = _fitted((own - mean) / spread, self._rng)
        self.components = mixture.n_components
        mixture.set_params(random_state=seed)
        drawn, component = mixture.sample(n_items - self.n_own)
        vectors = torch.from_numpy((drawn * spread + mean).astype(np.float32))
        self.vectors = torch.cat([network.body.items, vectors[:, :-1]])
        most = float(network.log_popularity.max())
        self.log_popularity = torch.cat([network.log_popularity, vectors[:, -1].clamp(0, most)])
        self.kin = np.concatenate([np.arange(self.n_own), self._kin(mixture.predict((own - mean) / spread), component)])

    def _kin(self, of_own: np.ndarray, of_drawn: np.ndarray) -> np.ndarray:
        kin = np.zeros(len(of_drawn), np.int64)
        for component in np.unique(of_drawn):
            at, among = np.flatnonzero(of_drawn == component), np.flatnonzero(of_own == component)
            kin[at] = self._rng.choice(among if len(among) else np.arange(self.n_own), len(at))
        return kin

    def expert(self, name: str, expert: Expert) -> Expert:
        """The expert over the drawn catalogue."""
        kin, n_items = torch.from_numpy(self.kin), len(self.kin)
        if isinstance(expert, PopularityExpert):
            return PopularityExpert(self.log_popularity if name == POPULARITY else expert.log_counts[kin])
        if isinstance(expert, ContentExpert):
            described = torch.cat([expert.described[:1], expert.described[1:][kin]])
            return ContentExpert(described, expert.weights[:, kin].contiguous(), expert.decay, expert.window)
        if isinstance(expert, HabitExpert):
            return HabitExpert(expert.weights, expert.intercepts[kin], expert.unseen, expert.config)
        if isinstance(expert, RepeatExpert):
            return RepeatExpert(n_items, expert.config)
        if isinstance(expert, NoveltyExpert):
            return NoveltyExpert(n_items)
        if isinstance(expert, LongTermMemory):
            return SequenceMemory(self._spread_out(expert.weights[None]), [expert.decay], [200])
        if isinstance(expert, SequenceMemory):
            dense = expert.weights.dense() if isinstance(expert.weights, TopWeights) else expert.weights
            return SequenceMemory(self._spread_out(dense), expert.decays, expert.windows)
        raise NotImplementedError(f"no such expert can be drawn: {expert.kind}")

    def _spread_out(self, dense: Tensor) -> TopWeights:
        """The largest weights of the champion's rows, each at a random item of the kin of the one that it speaks of.

        An item's row is that of its kin. Items that no context holds have none.
        """
        small = TopWeights.of(dense, TOP)
        order = np.argsort(self.kin, kind="stable")
        starts = np.searchsorted(self.kin[order], np.arange(self.n_own + 1))
        rows = np.concatenate([[0], self.kin[: self._met] + 1])
        lengths = small.offsets.diff(dim=1).numpy()[:, rows]
        entries = ragged_ranges(small.offsets.numpy()[:, rows].ravel(), lengths.ravel())
        named = small.columns.numpy()[entries].astype(np.int64)
        width = starts[named + 1] - starts[named]
        chosen = order[starts[named] + (self._rng.random(len(named)) * width).astype(np.int64)]
        ends = lengths.ravel().cumsum().reshape(lengths.shape)
        offsets = torch.from_numpy(np.concatenate([ends[:, :1] - lengths[:, :1], ends], axis=1))
        rest = offsets[:, -1:].expand(-1, len(self.kin) - self._met)
        return TopWeights(
            torch.cat([offsets, rest], dim=1), torch.from_numpy(chosen).int(), small.weights[torch.from_numpy(entries)]
        )


def drawn_recommender(
    champion: Recommender, n_items: int, seed: int, met: int | None = None
) -> tuple[Recommender, DrawnCatalogue]:
    """The champion's experts and heads over a drawn catalogue; every item is scored until it is given an index.

    Args:
        champion: whose they are.
        n_items: size of the catalogue.
        seed: of every draw.
        met: see `DrawnCatalogue`.
    """
    model, network = champion.model, champion.model.network
    catalogue = DrawnCatalogue(network, n_items, seed, met)
    others = {name: catalogue.expert(name, expert) for name, expert in network.others.items()}
    grown = ScoringNetwork(
        BodyExpert(network.body.encoder, catalogue.vectors),
        others,
        network.scales,
        network.bases,
        network.discovery,
        network.reads,
        model.config.head.panel_size(n_items),
    )
    config = model.config.model_copy(update={"experts": expert_specs(grown)})
    vocabulary = [*champion.vocabulary, *(f"drawn-{number}" for number in range(n_items - catalogue.n_own))]
    encoder = ContextEncoder(vocabulary, champion.encoder.profile, champion.encoder.history_length)
    personal = PersonalModel(config, grown, model.hypernetwork, model.shared)
    return Recommender(personal, encoder, champion.schema, champion.calibration, champion.version), catalogue


def _fitted(own: np.ndarray, rng: np.random.Generator) -> tuple[GaussianMixture, dict[int, float]]:
    """The mixture whose number of components says most of held-out items, fitted on all; and what each said."""
    order = rng.permutation(len(own))
    held, rest = np.split(own[order], [max(int(_HELD_OUT * len(own)), 1)])

    def fit(components: int, items: np.ndarray) -> GaussianMixture:
        return GaussianMixture(components, covariance_type="full", reg_covar=_SPREAD, random_state=0).fit(items)

    told = {n: round(float(fit(n, rest).score(held)), 2) for n in COMPONENTS if n < len(rest)}
    return fit(max(told, key=lambda n: told[n]), own), told
