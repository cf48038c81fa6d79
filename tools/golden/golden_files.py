"""Files as Pillow and NumPy write them, with what Pillow's own decoder and NumPy say that they hold.

    python tools/golden/golden_files.py --output Tests/Golden    # images.json and arrays.json
    python tools/golden/golden_files.py --check Tests/Golden     # compares with a fresh run

JSON with everything binary in base64, so that a case is one object: of an image its file and R,G,B of every pixel as
they are stored, row-major; of an array its file and its elements as numbers, row-major.
"""

import argparse
import base64
import io
import json
import sys
from pathlib import Path

import numpy
from PIL import Image

HEIGHT, WIDTH = 17, 23


def picture():
    """Smooth colours with an edge and a little noise: no channel is like another, no row like the next."""
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    noise = numpy.random.default_rng(1).integers(0, 24, (HEIGHT, WIDTH, 3))
    base = numpy.stack([x * 10, y * 13, 230 - x * 4 - y * 5], axis=-1)
    base[5:12, 14:] = [200, 40, 90]
    return Image.fromarray(numpy.clip(base + noise, 0, 255).astype(numpy.uint8), "RGB")


def encode(image, kind, **options):
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def case(name, file, pixels=None):
    """`pixels`: R,G,B where Pillow's own conversion is another than the engine's."""
    with Image.open(io.BytesIO(file)) as found:
        rgb = numpy.asarray(found.convert("RGB")) if pixels is None else pixels
    assert rgb.dtype == numpy.uint8 and rgb.shape == (HEIGHT, WIDTH, 3), name
    text = lambda data: base64.b64encode(data).decode("ascii")
    return {"name": name, "width": WIDTH, "height": HEIGHT, "file": text(file), "rgb": text(rgb.tobytes())}


def colours(image):
    """The colours below any alpha."""
    return numpy.asarray(image)[..., :3]


def repeated(grey):
    return numpy.repeat(numpy.asarray(grey, dtype=numpy.uint8)[..., None], 3, axis=-1)


def images():
    rgb = picture()
    grey = rgb.convert("L")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    palette = rgb.quantize(16, dither=Image.Dither.NONE)
    alpha = rgb.copy()
    alpha.putalpha(grey)
    grey_alpha = grey.copy()
    grey_alpha.putalpha(rgb.getchannel("G"))
    deep = numpy.asarray(grey).astype(numpy.uint16) * 251 + numpy.arange(WIDTH, dtype=numpy.uint16)
    yield case("jpeg 4:4:4", encode(rgb, "JPEG", quality=90, subsampling="4:4:4"))
    yield case("jpeg 4:2:2", encode(rgb, "JPEG", quality=80, subsampling="4:2:2"))
    yield case("jpeg 4:2:0", encode(rgb, "JPEG", quality=80, subsampling="4:2:0"))
    yield case("jpeg progressive", encode(rgb, "JPEG", quality=80, subsampling="4:2:0", progressive=True))
    yield case("jpeg grey", encode(grey, "JPEG", quality=85))
    yield case("jpeg rgb", encode(rgb, "JPEG", quality=85, keep_rgb=True, subsampling="4:4:4"))
    yield case("jpeg restarts", encode(rgb, "JPEG", quality=80, restart_marker_blocks=1))
    yield case("jpeg orientation 6", encode(rgb, "JPEG", quality=80, exif=exif))
    yield case("jpeg cmyk", encode(rgb.convert("CMYK"), "JPEG", quality=80))
    yield case("png rgb", encode(rgb, "PNG"))
    yield case("png grey", encode(grey, "PNG"))
    yield case("png rgba", encode(alpha, "PNG"), colours(alpha))
    yield case("png grey + alpha", encode(grey_alpha, "PNG"), repeated(grey))
    yield case("png palette", encode(palette, "PNG", bits=8))
    yield case("png palette, 4 bit", encode(palette, "PNG", bits=4))
    yield case("png palette + alpha", encode(palette, "PNG", transparency=3), colours(palette.convert("RGB")))
    yield case("png grey, 1 bit", encode(grey.point(lambda v: 255 * (v > 120)).convert("1"), "PNG"))
    # What 16 bits are in 8: the nearest of 256 steps from black to white.
    rounded = numpy.rint(deep.astype(numpy.float64) * 255 / 65535).astype(numpy.uint8)
    yield case("png grey, 16 bit", encode(Image.fromarray(deep), "PNG"), repeated(rounded))
    yield case("png rgb + transparent colour", encode(rgb, "PNG", transparency=rgb.getpixel((3, 4))), colours(rgb))


def arrays():
    """Every element type in both byte orders, both orders of the axes, every version of the header."""
    for kind in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]:
        values = [-2.5, 0.0, 1 / 3, 60000.0, 0.1, 7.0]
        if kind[0] in "iu":
            limit = min(numpy.iinfo(kind).max, 2**24)
            values = [0, 1, limit, limit - 1, 7, -limit if kind[0] == "i" else 2]
        if kind == "b1":
            values = [1, 0, 0, 1, 1, 0]
        for byte_order in "<>":
            for order in "CF":
                # Of one byte there is but one order.
                if kind[1] == "1" and byte_order == ">":
                    continue
                array = numpy.array(values).astype(kind).reshape(2, 3)
                array = numpy.asarray(array.astype(array.dtype.newbyteorder(byte_order)), order=order)
                for version in [(1, 0), (2, 0), (3, 0)]:
                    # Whole tables of versions would say nothing new.
                    if version != (1, 0) and kind not in {"f4", "i2"}:
                        continue
                    target = io.BytesIO()
                    numpy.lib.format.write_array(target, array, version=version)
                    yield {
                        "name": f"{array.dtype.str} {order} {version[0]}.0",
                        "shape": list(array.shape),
                        "file": base64.b64encode(target.getvalue()).decode("ascii"),
                        "values": [float(value) for value in array.astype(numpy.float32).ravel()],
                    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--output", type=Path)
    place.add_argument("--check", type=Path)
    options = parser.parse_args()
    same = True
    for name, cases in {"images.json": images(), "arrays.json": arrays()}.items():
        text = "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n"
        if options.output:
            (options.output / name).write_text(text, encoding="utf-8")
        elif (options.check / name).read_text(encoding="utf-8") != text:
            same = False
            print(f"{options.check / name}: found other cases than this machine writes, expected the same")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
