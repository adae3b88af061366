"""Parcels: boxes, and what fits into them."""

from dataclasses import dataclass


# A box with its inner size in millimetres and what it may hold in grams.
@dataclass(frozen=True)
class Box:
    name: str
    length: int
    width: int
    height: int
    grams: int


BOXES = (
    Box("S", 200, 150, 50, 1000),
    Box("M", 350, 250, 100, 5000),
    Box("L", 600, 400, 300, 20000),
)


# Give the volume of a box in cubic millimetres.
def volume(box: Box) -> int:
    return box.length * box.width * box.height


# Give the smallest box that holds a weight and a volume.
# Raises ValueError when even the largest does not.
def smallest(grams: int, cubic: int) -> Box:
    for box in sorted(BOXES, key=volume):
        if grams <= box.grams and cubic <= volume(box):
            return box
    raise ValueError(f"nothing holds {grams} g in {cubic} mm3")
