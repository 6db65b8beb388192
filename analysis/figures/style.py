"""One look for all figures: a colour and a line style per rule, labels from the dataset's attributes."""

#: Okabe and Ito's palette, told apart by colour-blind readers too; line styles carry the same message in grey.
_FAMILY = {
    "BPTT": ("#0072B2", "-"),
    "tBPTT": ("#56B4E9", "--"),
    "RFLO": ("#D55E00", "-."),
    "e-prop": ("#009E73", ":"),
}
_OTHERS = (("#CC79A7", "-"), ("#E69F00", "--"), ("#000000", "-."), ("#999999", ":"))


def rule_style(name, names=()):
    """Colour and line style of one rule, as keyword arguments of ``Axes.plot``.

    Parameters
    ----------
    name : str
        The rule's name, such as "tBPTT(3)".
    names : sequence of str
        All rules of the figure: rules outside the four families get the palette's other colours in this order.
    """
    for family, (colour, line) in _FAMILY.items():
        if name == family or name.startswith(family + "("):
            return {"color": colour, "linestyle": line}
    strangers = [n for n in names if n not in _FAMILY and n.split("(")[0] not in _FAMILY]
    colour, line = _OTHERS[strangers.index(name) % len(_OTHERS) if name in strangers else 0]
    return {"color": colour, "linestyle": line}


def axis_label(variable):
    """Axis label from a DataArray's ``long_name`` and ``units``; the unit "1" is left out."""
    label = variable.attrs.get("long_name", variable.name)
    units = variable.attrs.get("units", "1")
    return label if units == "1" else f"{label} ({units})"


def new_figure(*args, **kwargs):
    """A matplotlib Figure and its axes that belong to no window system: ``subplots`` without pyplot's global state."""
    from matplotlib.figure import Figure

    size = kwargs.pop("figsize", None)
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(*args, **kwargs)
