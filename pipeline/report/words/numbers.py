"""Numbers as people read them.

Every figure and its unit are joined by a no-break space, so that no line ends between them.
"""

NBSP = "\u00a0"
MINUS = "\u2212"


def percent(share: float, digits: int = 1) -> str:
    """0.9012 → 90.1 %."""
    return f"{100 * share:.{digits}f}{NBSP}%"


def percent_range(low: float, high: float) -> str:
    """0.889, 0.912 → 88.9 to 91.2 %."""
    return f"{100 * low:.1f} to {percent(high)}"


def points(difference: float) -> str:
    """-0.0213 → 2.1 points: the size of a difference of percentages."""
    return f"{abs(100 * difference):.1f}{NBSP}points"


def signed(difference: float) -> str:
    """-0.0213 → −2.1, in points, with its sign; nothing that rounds to zero has one."""
    number = f"{abs(100 * difference):.1f}"
    if float(number) == 0:
        return number
    return ("+" if difference > 0 else MINUS) + number


def points_range(low: float, high: float) -> str:
    """-0.004, 0.021 → −0.4 to +2.1 points."""
    return f"{signed(low)} to {signed(high)}{NBSP}points"


def p_value(p: float) -> str:
    """0.0312 → p = 0.031; 1e-9 → p < 0.001."""
    if p < 0.001:
        return f"p{NBSP}<{NBSP}0.001"
    return f"p{NBSP}={NBSP}{p:.3f}" if p < 0.1 else f"p{NBSP}={NBSP}{p:.2f}"


def duration(seconds: float) -> str:
    """0.00027 → 0.27 ms; 0.42 → 0.42 s; 95 → 1 min 35 s; 3900 → 1 h 5 min."""
    if 0 < seconds < 0.1:
        return latency(seconds)
    if seconds < 10:
        return f"{seconds:.2g}{NBSP}s" if seconds < 1 else f"{seconds:.1f}{NBSP}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{NBSP}s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    minutes = round(seconds / 60)
    return _two(minutes // 60, "h", minutes % 60, "min")


def _two(large: int, unit: str, small: int, subunit: str) -> str:
    first = f"{large}{NBSP}{unit}"
    return f"{first} {small}{NBSP}{subunit}" if small else first


def latency(seconds: float) -> str:
    """0.0098 → 9.8 ms."""
    milliseconds = 1000 * seconds
    if milliseconds >= 1000:
        return duration(seconds)
    digits = 0 if milliseconds >= 100 else 1 if milliseconds >= 1 else 2
    return f"{milliseconds:.{digits}f}{NBSP}ms"


def quantity(count: float) -> str:
    """12810 → 12,810; 3384558 → 3.38 M; 15470000000 → 15.5 G."""
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if count >= size:
            value = count / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}{NBSP}{unit}"
    return f"{round(count):,}"


def data_size(count: float) -> str:
    """13538232 → 13.5 MB, in powers of ten."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.1f}{NBSP}{unit}"
    return f"{round(count)}{NBSP}bytes"


def energy(joules: float) -> str:
    """7200 → 2.0 Wh; 1800000 → 500 Wh; 5400000 → 1.5 kWh; 66 → 66 J."""
    hours = joules / 3600
    if hours < 0.1:
        return f"{joules:.{1 if joules < 10 else 0}f}{NBSP}J"
    if hours >= 1000:
        return f"{hours / 1000:,.1f}{NBSP}kWh"
    return f"{hours:.{2 if hours < 1 else 1 if hours < 100 else 0}f}{NBSP}Wh"


def times(ratio: float) -> str:
    """4.32 → 4.3 times; 17.8 → 18 times."""
    return f"{ratio:.1f} times" if ratio < 9.95 else f"{ratio:,.0f} times"
