"""What a picture says, read from its SVG by the standard library."""

from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    """All texts of a picture, each as it is read."""
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def elements(svg):
    """Names of all elements."""
    return {node.tag.removeprefix(SVG) for node in ElementTree.fromstring(svg).iter()}
