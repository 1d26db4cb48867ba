"""One reference for the milliseconds of a study, whoever measures."""

from __future__ import annotations

from collections.abc import Sequence

from gnv2_nas.measurement import Measurement
from gnv2_nas.search.evaluate import Evaluator, in_milliseconds_of
from gnv2_nas.search.storage.stored_study import Store


def in_one_reference(
    latencies: Sequence[Measurement | None], store: Store, evaluator: Evaluator
) -> list[Measurement | None]:
    """The first measurement of a study decides what its milliseconds are expressed in.

    Another process may have been first while this one measured: then that one's is taken, here
    and by `evaluator` from now on.
    """
    first = next((each for each in latencies if each is not None), None)
    if first is None:
        return list(latencies)
    kept = store.keep_reference(evaluator.reference_ms, first.fingerprint)
    if kept.reference_ms is None:
        return list(latencies)
    evaluator.reference_ms = kept.reference_ms
    return [each and in_milliseconds_of(kept.reference_ms, each) for each in latencies]
