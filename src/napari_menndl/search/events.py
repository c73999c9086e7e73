"""What a search says aloud."""

from psygnal import Signal, SignalGroup


class SearchEvents(SignalGroup):
    """What happened in a search, after it was recorded.

    ``evaluation_finished(key, Evaluation)``, ``best_improved(Scored)``, ``state_changed(str)``.
    """

    evaluation_finished = Signal(str, object)
    best_improved = Signal(object)
    state_changed = Signal(str)
