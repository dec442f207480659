"""results/report.md: the matrix of clients and scenarios, then every test that did not pass."""

SIGNS = {"passed": "pass", "skipped": "skip", "failed": "FAIL"}


def counts(outcomes):
    """The line every suite and the whole run end with."""
    verdicts = [outcome.verdict for outcome in outcomes]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("passed", "failed", "skipped"))


def _cell(outcomes):
    if not outcomes:
        return ""
    passed = sum(outcome.verdict == "passed" for outcome in outcomes)
    wrong = any(outcome.verdict == "failed" for outcome in outcomes)
    return f"{'FAIL ' if wrong else ''}{passed}/{len(outcomes)}"


def _matrix(finished, sides):
    # A test's name is scenario.case.
    scenarios = sorted({outcome.name.split(".")[0] for _, _, outcomes in finished for outcome in outcomes})
    lines = ["| client | broker | " + " | ".join(scenarios) + " |", "|" + " --- |" * (len(scenarios) + 2)]
    for suite in dict.fromkeys(suite.name for suite, _, _ in finished):
        for side in sides:
            for row, row_side, outcomes in finished:
                if row.name == suite and row_side == side:
                    cells = [_cell([o for o in outcomes if o.name.split(".")[0] == scenario]) for scenario in scenarios]
                    lines.append(f"| {suite}: {row.client} | {side} | " + " | ".join(cells) + " |")
    return lines


def write(path, title, finished, sides):
    """Write the report of `finished`, a list of (suite, side, outcomes)."""
    everything = [outcome for _, _, outcomes in finished for outcome in outcomes]
    lines = [f"# {title}", "", counts(everything), "", *_matrix(finished, sides), ""]
    for suite, side, outcomes in finished:
        for outcome in outcomes:
            if outcome.verdict != "passed":
                lines.append(f"- {SIGNS[outcome.verdict]} `{suite.name}` on {side}: `{outcome.name}`: {outcome.reason}")
    path.write_text("\n".join(lines) + "\n")
