# SPDX-License-Identifier: MIT
"""Bar charts as SVG."""

from xml.sax.saxutils import escape

ROW, LEFT, WIDTH, TOP = 26, 190, 430, 44


def bars(title, unit, rows):
    """Horizontal bars for (label, lowest, median, highest, is ours); the thin line goes from lowest to highest."""
    longest = max((row[3] for row in rows), default=0) or 1
    height = TOP + ROW * len(rows) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="740" height="{height}" viewBox="0 0 740 {height}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f'<title>{escape(title)}</title>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="600" fill="#1f2328">{escape(title)}</text>',
    ]
    for index, (label, low, middle, high, is_ours) in enumerate(rows):
        y = TOP + ROW * index
        line = y + 9

        def x(value):
            return LEFT + WIDTH * value / longest

        colour = "#0b6bcb" if is_ours else "#9aa4af"
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end" fill="#1f2328">{escape(label)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{max(1, x(middle) - LEFT):.1f}" height="18" rx="2" fill="{colour}"/>',
            f'<path d="M{x(low):.1f} {line}H{x(high):.1f}" stroke="#1f2328" stroke-width="1.5"/>',
            f'<text x="{x(high) + 8:.1f}" y="{y + 14}" fill="#1f2328">{number(middle)} {escape(unit)}</text>',
        ]
    return "\n".join(parts + ["</svg>", ""])


def number(value):
    """Three digits that say something."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"
