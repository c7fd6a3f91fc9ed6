"""From unconditional to conditional training (Shahbazi et al. 2022, "Collapse by Conditioning")."""

from morphoscope.configs.generator import ResolvedTraining


def label_influence(config: ResolvedTraining, images_seen: int) -> float:
    """How strongly labels count after `images_seen` images, 0 to 1; 1 where no transition is configured.

    The paper's λ_t = min(max((t - T_s) / (T_e - T_s), 0), 1), with T_s and T_e the config's
    transition_start_kimg and transition_end_kimg (arXiv 2201.06578).
    """
    start, end = config.conditions.transition_start_kimg, config.conditions.transition_end_kimg
    if start is None or end is None:
        return 1.0
    return min(max((images_seen / 1000 - start) / (end - start), 0.0), 1.0)
