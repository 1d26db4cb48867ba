"""A search put together from a checked request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version

import msgspec
import optuna

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InfeasibleBudgetError
from gnv2_nas.graph import Counts, count
from gnv2_nas.profiling.device import open_device
from gnv2_nas.profiling.record import Measurement
from gnv2_nas.quality import EstimatorInfo, QualityContext, check_estimator, get_estimator
from gnv2_nas.quality.data import Dataset, load_dataset
from gnv2_nas.search.budgets import corner_networks
from gnv2_nas.search.evaluate import Evaluator
from gnv2_nas.search.loop import Observer, SearchLoop
from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.request import CheckedRequest
from gnv2_nas.search.sampler import make_sampler
from gnv2_nas.search.sqlite_file import without_password
from gnv2_nas.search.store import Provenance, candidate_of, open_or_create

SOFTWARE = ("gnv2-nas", "torch", "onnx", "onnxruntime", "optuna")
"""Packages whose version can change what a study finds."""

HOPELESS = 0.7
"""A latency budget below this share of the smallest network's time ends the search at once.

The smallest network is not always the fastest.
"""


class Corner(msgspec.Struct, frozen=True):
    """The smallest, centre or largest network of a space."""

    name: str
    architecture: Architecture
    counts: Counts
    latency: Measurement | None


class SearchSession:
    """An opened study with everything it needs to go on."""

    def __init__(
        self, checked: CheckedRequest, progress: Callable[[float], None] | None = None
    ) -> None:
        """Read the images that the estimator needs, if it does, and open the study.

        Args:
            checked: what is asked for.
            progress: is told the share of the images that are read, 0 to 1.
        """
        request, settings = checked.request, checked.settings
        self.dataset = _images(checked, progress)
        if self.dataset is not None:
            settings = msgspec.structs.replace(settings, data_hash=self.dataset.content_hash)
            checked = msgspec.structs.replace(checked, settings=settings)
        # Its lines about new studies would stand between those of the progress.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.checked = checked
        context = QualityContext(checked.space, self.dataset, request.seed)
        estimator, device = get_estimator(settings.quality, context), open_device(settings.device)
        self.store, self.resumed = open_or_create(
            request.storage, checked.study, settings, _provenance(checked, estimator.info)
        )
        self.evaluator = Evaluator(settings, estimator, device, request.seed)
        self.evaluator.reference_ms = self.store.provenance.reference_ms

    def corners(self) -> list[Corner]:
        """The corner networks against the budgets; measured when a budget is a latency.

        Raises:
            InfeasibleBudgetError: the smallest network is far too slow.
        """
        networks = corner_networks(self.checked.space)
        latency_budgets = [b for b in self.checked.settings.budgets if b.metric == "latency"]
        latencies: list[Measurement | None] = [None] * len(networks)
        if latency_budgets:
            latencies = self.evaluator.measure(list(networks.values()))
        corners = [
            Corner(name, arch, count(arch), latency)
            for (name, arch), latency in zip(networks.items(), latencies, strict=True)
        ]
        smallest = corners[0].latency
        for budget in latency_budgets:
            if smallest is not None and budget.limit < HOPELESS * smallest.ci95[0]:
                raise InfeasibleBudgetError(
                    f"no network of space {self.checked.space.name!r} can meet {budget.text}; "
                    f"nearest is {smallest.ms:.2f} ms, its smallest network on "
                    f"{self.checked.settings.device!r}: raise the budget or choose a smaller space"
                )
        return corners

    def loop(self, observer: Observer = lambda _: None) -> SearchLoop:
        """The search itself, ready to run."""
        request, settings = self.checked.request, self.checked.settings
        past = self.store.trials()
        candidates = [candidate_of(trial) for trial in past]
        proposals = Proposals(
            self.checked.space,
            settings.budgets,
            settings.objectives,
            # Going on with the seed of the beginning would propose the same networks again.
            make_sampler(request.sampler, request.seed + len(past)),
            request.seed,
            past=past,
            seen=[candidate.architecture.id for candidate in candidates],
        )
        return SearchLoop(
            self.checked.space,
            self.store,
            self.evaluator,
            proposals,
            past=candidates,
            trials=request.trials,
            timeout=request.timeout,
            observer=observer,
        )


def _images(checked: CheckedRequest, progress: Callable[[float], None] | None) -> Dataset | None:
    settings = checked.settings
    if not (settings.data and check_estimator(settings.quality).needs_data):
        return None
    return load_dataset(settings.data, max(checked.space.resolutions), progress=progress)


def _provenance(checked: CheckedRequest, estimator: EstimatorInfo) -> Provenance:
    return Provenance(
        sampler=checked.request.sampler,
        seed=checked.request.seed,
        command=without_password(checked.request.command),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        software={package: version(package) for package in SOFTWARE},
        estimator=msgspec.structs.replace(estimator, envelope=None),
        space_source=checked.request.space,
    )
