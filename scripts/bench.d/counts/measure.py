"""One measured figure, before it is compared with anything."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Measure:
    """`name` says the unit; `parts`, what the figure is made of, for the message of a failure.

    `compiled`: the figure depends on the compiler, not only on what the broker does.
    """

    name: str
    value: float
    parts: dict = dataclasses.field(default_factory=dict)
    compiled: bool = False

    def described_parts(self):
        """The parts that count, the largest first."""
        ordered = sorted(self.parts.items(), key=lambda part: -part[1])
        return [f"{value:,.2f} {name}" for name, value in ordered if value >= 0.01]
