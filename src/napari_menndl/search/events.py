"""Events of a search."""

from psygnal import Signal, SignalGroup


class SearchEvents(SignalGroup):
    """Signals that a search emits after it has recorded the event.

    ``evaluation_finished(key, Evaluation)``, ``best_improved(Scored)``, ``state_changed(str)``.
    """

    evaluation_finished = Signal(str, object)
    best_improved = Signal(object)
    state_changed = Signal(str)
