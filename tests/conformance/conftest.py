"""Comparisons with the packages that `geoops.compat` stands in for; `make conformance` installs them, else they are skipped."""

from hypothesis import HealthCheck, settings

# the fixtures are the same for every example
settings.register_profile(
    "conformance", max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("conformance")
