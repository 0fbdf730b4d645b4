"""The scenario: which network on which machine, solved how."""

from solvers.scenario.files import read_scenario
from solvers.scenario.hardware import FROM_NETWORK, exact
from solvers.scenario.model import Scenario, build_scenario

__all__ = ["FROM_NETWORK", "Scenario", "build_scenario", "exact", "read_scenario"]
