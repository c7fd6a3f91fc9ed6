"""How close generated images come to real ones, overall and by condition (spec 6)."""
