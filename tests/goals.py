"""Goals of searches, and what objectives are compared by, as tests name them."""

from formulation.pricing.objective import LATENCY, TRAFFIC, Step
from formulation.pricing.price import Price
from solvers.goals import Goal
from solvers.network.partition import best_place, partition_table

FASTEST = Goal(Step.of(LATENCY, TRAFFIC).measures)


def least_traffic(cap=None):
    """Least traffic, then least latency, up to a latency cap [ticks]."""
    return Goal(Step.of(TRAFFIC, LATENCY).measures, cap)


def goal_of(problem):
    """The order of the last step of a problem's objective."""
    return Goal(problem.steps[-1].measures)


def best_partition(problems):
    """The single partition that is best for a whole network, of layers and how often each runs."""
    found = partition_table(problems)
    return found.partition(best_place(found))


def score(problem, latency, traffic, energy=0):
    """The objective's own quantity, of a latency [ticks], a traffic [bits] and an energy [quanta]."""
    return problem.values(Price(latency, traffic, energy))[0]
