"""Ordered stages of a condition, by name (spec 8)."""

from collections.abc import Mapping, Sequence

from morphoscope.configs import UserError
from morphoscope.generate.networks.mapping import check_stages


def stage_indices(stages: Mapping[str, tuple[str, str]], conditions: Sequence[str]) -> list[list[int]]:
    """The config's {intermediate: (end, end)} as one [index, end, end] per stage, for `MappingNetwork`.

    Raises:
        UserError: an unknown condition, two equal ends, or an end that is an intermediate stage itself.
    """
    named = [[name, *ends] for name, ends in stages.items()]
    try:
        check_stages(named, conditions)
    except ValueError as error:
        raise UserError(f"stages: {error}.") from error
    return [[conditions.index(name) for name in stage] for stage in named]
