"""Property tests: few examples by default, fifty times as many with ``--hypothesis-profile thorough``."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "default", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough",
    parent=settings.get_profile("default"),
    max_examples=5000,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("default")
