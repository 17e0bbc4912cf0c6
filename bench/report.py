"""From measured rounds to figures, a table and a chart. Nothing here measures: a result is what compare.py --json writes.

A test has rounds of {"ours", "theirs": tokens a second (start: seconds) or None, "ours_others", "theirs_others": share
of the processors that other programs used, "limits"} and "token": the bytes and multiply-adds of one token.
"""
import statistics
from xml.sax.saxutils import escape

BUSY = 0.1
OURS, THEIRS, INK, FAINT = "#2563a8", "#c8591c", "#222", "#666"


def test_name(kind, options, depth):
    """'prompt 512', 'generate 64 @4096'; options: a namespace or a result."""
    get = (lambda name: options["n_" + name]) if isinstance(options, dict) else (lambda name: getattr(options, name))
    if kind == "start":
        return "start"
    if kind == "prompt":
        return f"prompt {get('prompt')}"
    return f"generate {get('generate')}" + (f" @{depth}" if depth else "")


# ---- figures

def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def is_quiet(figures):
    return all((figures.get(key) or 0) <= BUSY for key in ("ours_others", "theirs_others"))


def shares(test, figures, key):
    """What share of the read bandwidth and of the arithmetic peak a round reached: both None when not known."""
    rate, limits, token = figures.get(key), figures.get("limits"), test.get("token")
    if not rate or not limits or not token or test["kind"] == "start":
        return None, None
    reading = token["bytes"] / limits["read_bytes_per_second"]
    multiplying = token["int8_macs"] / limits["int8_macs_per_second"] + token["f32_macs"] / limits["f32_macs_per_second"]
    return rate * reading, rate * multiplying


def summarize_test(test):
    """Medians over the rounds that nothing disturbed, or over all where each was. Ratios are taken within a round:
    what slows a shared machine down for minutes then slows both."""
    quiet = [r for r in test["rounds"] if is_quiet(r)]
    rounds = quiet or test["rounds"]
    test["n_disturbed"] = len(test["rounds"]) - len(quiet)
    for key in ("ours", "theirs"):
        test[key] = median(r.get(key) for r in rounds)
        pairs = [shares(test, r, key) for r in rounds]
        test[key + "_of_reading"] = median(p[0] for p in pairs)
        test[key + "_of_arithmetic"] = median(p[1] for p in pairs)
    ratios = [r["ours"] / r["theirs"] for r in rounds if r.get("ours") and r.get("theirs")]
    if test["kind"] == "start":
        ratios = [1 / x for x in ratios]
    test["ratio"] = median(ratios)


def summarize(result):
    limits = []
    for model in result["models"]:
        for test in model["tests"]:
            summarize_test(test)
            limits += [r["limits"] for r in test["rounds"] if r.get("limits")]
    result["limits"] = {}
    for name in ("read_bytes_per_second", "int8_macs_per_second", "f32_macs_per_second"):
        values = [l[name] for l in limits]
        if values:
            result["limits"][name] = {"median": median(values), "least": min(values), "most": max(values)}
    return result


# ---- the table

def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits if value < 1000 else 0}f}"


def percent(value):
    return "" if value is None else f"{100 * value:.0f}%"


def heading(result):
    machine, peer, limits = result["machine"], result["peer"], result["limits"]
    lines = [f"{machine.get('processor') or 'unknown processor'}, {result['threads']} threads"]
    programs = f"socle {result['socle']['version']}"
    if result["socle"].get("cpu"):
        programs += f" (level {result['socle']['cpu']})"
    if peer:
        programs += f"; {peer['name']} {peer['build'] or ''} {peer.get('options') or ''}".rstrip()
    lines.append(programs)
    for name, label, unit in (("read_bytes_per_second", "reads memory at", "GB/s"),
                              ("int8_macs_per_second", "multiplies and adds int8 at", "G/s")):
        if name in limits:
            l = limits[name]
            lines.append(f"{label} {l['median'] / 1e9:.1f} {unit} "
                         f"(least {l['least'] / 1e9:.1f}, most {l['most'] / 1e9:.1f})")
    return lines


def row(result, test):
    unit = "s" if test["kind"] == "start" else "tok/s"
    cells = [f"  {test_name(test['kind'], result, test['depth']):<19}{unit:<6}{number(test['ours']):>9}"]
    if result["peer"]:
        ratio = number(test["ratio"]) + ("x" if test["ratio"] else "")
        cells.append(f"{number(test['theirs']):>10} {ratio:>8}")
    for which in ("reading", "arithmetic"):
        cells.append(f"{percent(test['ours_of_' + which]):>7}")
        if result["peer"]:
            cells.append(f"{percent(test['theirs_of_' + which]):>6}")
    if test["n_disturbed"]:
        cells.append(f"  {test['n_disturbed']} of {len(test['rounds'])} disturbed")
    return "".join(cells).rstrip()


def table(result):
    peer = result["peer"]
    lines = heading(result)
    for model in result["models"]:
        lines += ["", f"{model['file']} ({model['n_bytes'] / 2**30:.2f} GiB)"]
        first = f"{'':27}{'socle':>9}" + (f"{peer['name']:>10} {'ratio':>8}" if peer else "")
        width = 13 if peer else 7
        lines.append(first + f"{'of read':>{width}}{'of int8':>{width}}")
        lines += [row(result, test) for test in model["tests"]]
    disturbed = sum(t["n_disturbed"] for m in result["models"] for t in m["tests"])
    lines.append("")
    if peer:
        lines.append(f"ratio: above 1, socle is faster. Percentages: socle, then {peer['name']}.")
    lines.append("of read: of the measured read bandwidth; of int8: of the measured peak of multiply-adds.")
    if disturbed:
        lines.append(f"disturbed: other programs took more than {BUSY:.0%} of the processors; such rounds count only "
                     "where no other did.")
    return "\n".join(lines)


# ---- the chart: how near each test comes to what limits it, with its speed at the bar's end

LEFT, BAR, WIDTH, ROW, HEAD = 190, 420, 860, 40, 78


def limit_share(test, key):
    """The share of the limit that binds: the greater one."""
    found = [test[key + "_of_reading"], test[key + "_of_arithmetic"]]
    found = [x for x in found if x is not None]
    return max(found) if found else None


def bar(x, y, share, scale, colour, label, ratio=None):
    width = max(1.0, BAR * share / scale)
    more = f"<tspan dx='8' font-weight='bold'>{ratio:.2f}x</tspan>" if ratio else ""
    return (f"<rect x='{x}' y='{y:.1f}' width='{width:.1f}' height='13' fill='{colour}' rx='1.5'/>"
            f"<text x='{x + width + 6:.1f}' y='{y + 10.5:.1f}' class='small'>{escape(label)}{more}</text>\n")


def chart_rows(result, model, y, scale):
    peer, out = result["peer"], []
    out.append(f"<text x='24' y='{y:.1f}' font-weight='bold'>{escape(model['file'])}"
               f"<tspan class='small' font-weight='normal' dx='10'>{model['n_bytes'] / 2**30:.2f} GiB</tspan></text>\n")
    y += 12
    for test in model["tests"]:
        name = test_name(test["kind"], result, test["depth"])
        if test["kind"] == "start":
            text = f"{number(test['ours'])} s" + (f", {peer['name']} {number(test['theirs'])} s" if peer else "")
            out.append(f"<text x='{LEFT - 10}' y='{y + 12:.1f}' text-anchor='end'>start to first token</text>"
                       f"<text x='{LEFT}' y='{y + 12:.1f}' class='small'>socle {text}</text>\n")
            y += 26
            continue
        out.append(f"<text x='{LEFT - 10}' y='{y + 18:.1f}' text-anchor='end'>{escape(name)}</text>\n")
        for key, colour, offset in (("ours", OURS, 0), ("theirs", THEIRS, 15)):
            share = limit_share(test, key)
            if share is None:
                continue
            out.append(bar(LEFT, y + offset, share, scale, colour, f"{number(test[key], 1)} tok/s",
                           test["ratio"] if key == "ours" else None))
        y += ROW
    return "".join(out), y + 26


def svg(result):
    every = [limit_share(t, k) for m in result["models"] for t in m["tests"] for k in ("ours", "theirs")]
    scale = max([1.0] + [x for x in every if x is not None])
    body, y = [], HEAD + 24
    for model in result["models"]:
        rows, y = chart_rows(result, model, y, scale)
        body.append(rows)
    height = y + 30
    grid = []
    for tenth in range(0, int(scale * 4 + 1e-9) + 1):
        x = LEFT + BAR * tenth / 4 / scale
        grid.append(f"<path d='M{x:.1f} {HEAD}V{y - 20:.1f}' stroke='{'#999' if tenth == 4 else '#e4e4e4'}'/>"
                    f"<text x='{x:.1f}' y='{y - 4:.1f}' text-anchor='middle' class='small'>{tenth * 25}%</text>")
    legend = f"<rect x='24' y='48' width='12' height='12' fill='{OURS}'/><text x='42' y='58'>socle</text>"
    if result["peer"]:
        legend += (f"<rect x='100' y='48' width='12' height='12' fill='{THEIRS}'/>"
                   f"<text x='118' y='58'>{escape(result['peer']['name'])}</text>")
    machine = result["machine"].get("processor") or ""
    return (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height:.0f}' font-family='sans-serif' "
            f"font-size='13' fill='{INK}'>\n<style>.small{{font-size:11px;fill:{FAINT}}}</style>\n"
            f"<rect width='{WIDTH}' height='{height:.0f}' fill='#fff'/>\n"
            f"<text x='24' y='28' font-size='16'>Speed, as a share of what limits it"
            f"<tspan class='small' dx='10'>{escape(machine)}, {result['threads']} threads</tspan></text>\n{legend}\n"
            f"{''.join(grid)}\n{''.join(body)}"
            f"<text x='{LEFT + BAR / 2}' y='{y + 16:.1f}' text-anchor='middle' class='small'>"
            f"of the read bandwidth or the int8 peak, whichever binds</text>\n</svg>\n")
